"""The task queue. Docket (on Redis Streams) does the work; only this module knows it.

There are two lanes, a Docket each (`tasks.Lane`): one that a worker's slots take tasks from, and one
for its spare place, so that a task there waits for no slot.

Delivery is at least once: a tile whose worker dies is handed to another one after `lease`. A tile
that is queued or running is not queued again under the same flight number.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from docket import Disposition, Docket, Worker

from service.queue.tasks import Lane, Task, as_text, read_task
from service.store import keys

Handler = Callable[[Task], Awaitable[None]]

LANES: dict[Lane, str] = {"shared": keys.DOCKET, "spare": keys.SPARE_DOCKET}
TASK = "run_task"
# Tasks of the spare lane that a worker has at once, beside those in its slots.
SPARE_SLOTS = 1
# Docket looks for work this often while it has none, which costs Redis something, or is full, which
# costs a look at its own memory; its default of 250 ms would make a job of small tiles take a quarter
# second each. So it looks more often while there is work, when a slot that is free waits for it.
IDLE_INTERVAL = timedelta(milliseconds=15)
BUSY_INTERVAL = timedelta(milliseconds=2)
# So long after a task.
BUSY_FOR = timedelta(milliseconds=250)
RECONNECTION_DELAY = timedelta(seconds=1)


class Queue:
    """Tiles to compute and answers to make, in each lane in the order in which they were added."""

    def __init__(self, lanes: Mapping[Lane, Docket], lease: timedelta) -> None:
        self._lanes = lanes
        self._lease = lease
        for docket in lanes.values():
            # Enqueueing is by name, and Docket wants the name registered with its signature.
            docket.register(_not_here, names=[TASK])

    async def add(self, tasks: Sequence[Task]) -> None:
        """Queue tasks; those already queued or running are left as they are.

        Raises what Redis raised for the first one that could not be queued.
        """
        for lane, docket in self._lanes.items():
            # The key is that of one flight: see `TileTask`.
            calls = [
                docket.call(TASK, key=f"{task.ref}:{task.flight}")(as_text(task))
                for task in tasks
                if task.lane == lane
            ]
            if not calls:
                continue
            for execution in await docket.add_many(calls):
                if execution.disposition is Disposition.FAILED:
                    failed = RuntimeError("a task could not be queued")
                    raise execution.schedule_exception or failed

    async def serve(self, handler: Handler, *, name: str, slots: int) -> None:
        """Hand tasks to `handler`, `slots` at a time and one of the spare lane, until cancelled; then
        wait for those begun."""
        places: dict[Lane, int] = {"shared": slots, "spare": SPARE_SLOTS}
        async with asyncio.TaskGroup() as serving:
            for lane, docket in self._lanes.items():
                serving.create_task(self._serve(docket, handler, name, places[lane]))

    async def _serve(self, docket: Docket, handler: Handler, name: str, slots: int) -> None:
        running = 0
        loop = asyncio.get_running_loop()

        def relax() -> None:
            if not running:
                worker.minimum_check_interval = IDLE_INTERVAL

        async def run_task(task: str) -> None:
            nonlocal running
            running += 1
            worker.minimum_check_interval = BUSY_INTERVAL
            try:
                await handler(read_task(task))
            finally:
                running -= 1
                loop.call_later(BUSY_FOR.total_seconds(), relax)

        docket.register(run_task, names=[TASK])
        async with Worker(
            docket,
            name=name,
            concurrency=slots,
            redelivery_timeout=self._lease,
            reconnection_delay=RECONNECTION_DELAY,
            minimum_check_interval=IDLE_INTERVAL,
            scheduling_resolution=timedelta(seconds=1),
            schedule_automatic_tasks=False,
        ) as worker:
            await worker.run_forever()


async def _not_here(task: str) -> None:
    raise RuntimeError("this process only queues tasks; a worker takes them")


@asynccontextmanager
async def open_queue(url: str, lease: timedelta) -> AsyncGenerator[Queue, None]:
    """The queue on Redis A; closed at the end of the block."""
    # Docket logs two lines a tile at INFO.
    logging.getLogger("docket").setLevel(logging.WARNING)
    async with AsyncExitStack() as stack:
        lanes: dict[Lane, Docket] = {}
        for lane, name in LANES.items():
            docket = Docket(name=name, url=url, execution_ttl=keys.EXECUTIONS)
            lanes[lane] = await stack.enter_async_context(docket)
        yield Queue(lanes, lease)
