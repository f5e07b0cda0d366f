"""Who gets the next tile: bounded, round-robin over jobs, and computed once for all who wait.

    job.pending --take--> in flight + queue --begin--> running --finish--> job.done, next take
                              ^                           |--fail-----> waiting jobs failed
         ^                    '--- sweep: queue again ----'  |
         '------------------ set aside ---------------------'

Each arrow is one atomic script (`store.scripts`). Only a few tiles a worker slot are in flight at
a time, whatever the number and size of jobs, so that a small job is never stuck behind a large
one; and when these places are taken, a job none of whose tiles is in flight gets one of the spare
places that workers keep (`docket.py`), to compute beside them at once. A process that dies between
`take` and the queue leaves a tile in flight that nobody computes: the sweep queues every tile in
flight again, which does nothing to those that are there.

Tiles that cannot be stored for now are set aside: their jobs have no turn for a while, and others go on.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.logs import get_logger
from service.queue.docket import SPARE_SLOTS, Queue
from service.queue.roster import Roster
from service.queue.tasks import AnswerTask, Task, read_flight
from service.store import keys, scripts
from service.store.connection import now, raw

log = get_logger(__name__)

# Tiles that wait in flight, per worker slot: enough that no slot runs dry while the next are handed
# out, and no more, since the turns of other jobs are behind them.
WAITING_PER_SLOT = 0.5
# Tiles in flight when no worker has shown up yet.
IN_FLIGHT_WITHOUT_WORKERS = 4


class Dispatch:
    """The steps of a tile's way through the queue."""

    def __init__(self, client: Redis, queue: Queue, roster: Roster, job_ttl: timedelta) -> None:
        self._client = client
        self._queue = queue
        self._roster = roster
        self._ttl = int(job_ttl.total_seconds())
        self._pumping = asyncio.Lock()
        self._asked = self._served = 0
        self._take = client.register_script(scripts.TAKE)
        self._begin = client.register_script(scripts.BEGIN)
        self._unbegin = client.register_script(scripts.UNBEGIN)
        self._set_aside = client.register_script(scripts.SET_ASIDE)
        self._finish = client.register_script(scripts.FINISH)
        self._fail = client.register_script(scripts.FAIL)
        self._cancel = client.register_script(scripts.CANCEL)
        self._delete = client.register_script(scripts.DELETE)
        self._refill = client.register_script(scripts.REFILL)
        self._postpone = client.register_script(scripts.POSTPONE)

    async def pump(self) -> None:
        """Put tiles in flight while there is room, taking jobs in turn.

        One at a time, and those who ask meanwhile share the next: a burst of new jobs has one round
        trip to wait for, not one each. What cannot be handed out now (a store is full or away) is no
        fault of the caller's, whose own work is done: the next sweep does it.
        """
        self._asked += 1
        asked = self._asked
        async with self._pumping:
            if self._served < asked:
                served = self._asked
                try:
                    await self._fill()
                except (RedisError, OSError) as error:
                    log.warning("no tiles were handed out; the sweep will", reason=str(error))
                self._served = served

    async def _fill(self) -> None:
        workers = await self._roster.alive()
        slots = sum(card.slots for card in workers)
        waiting = math.ceil(WAITING_PER_SLOT * slots) if workers else IN_FLIGHT_WITHOUT_WORKERS
        places = slots + waiting, waiting, SPARE_SLOTS * len(workers)
        flights: list[bytes] = await self._take(args=[*places, await now(self._client), self._ttl])
        await self._queue.add([read_flight(flight) for flight in flights])

    async def begin(self, task: Task) -> int:
        """A worker begins the tile: how often it has been begun, 0 when nobody waits for it."""
        deliveries = int(keys.DELIVERIES.total_seconds())
        moment = await now(self._client)
        return int(await self._begin(args=[task.ref, moment, self._ttl, deliveries]))

    async def begun(self, task: Task) -> int:
        """How often the tile has been begun so far, not counting this time."""
        return int(await self._client.get(keys.deliveries(task.ref)) or 0)

    async def unbegin(self, task: Task) -> None:
        """The tile's worker stops for reasons of its own: that beginning does not count."""
        await self._unbegin(keys=[keys.deliveries(task.ref)])

    async def set_aside(self, task: Task, seconds: float) -> None:
        """Give the tile back to the jobs that wait for it, none of whose tiles is handed out for so
        long."""
        till = await now(self._client) + seconds
        await self._set_aside(args=[task.ref, till, self._ttl])

    async def wanted(self, task: Task) -> bool:
        """Whether any job still waits for the tile."""
        return bool(await self._client.exists(keys.waiters(task.ref)))

    async def finish(
        self,
        task: Task,
        *,
        computed: bool,
        provenance: Mapping[str, Any],
        error_estimate: Mapping[str, float],
    ) -> list[str]:
        """The tile is in the store; returns the jobs that are complete with it."""
        moment = await now(self._client)
        args = [task.ref, int(computed), moment, self._ttl, json.dumps(provenance)]
        for name, value in error_estimate.items():
            args += [name, value]
        return [ref.decode() for ref in await self._finish(args=args)]

    async def fail(self, task: Task, problem: Mapping[str, Any]) -> dict[str, str]:
        """The tile cannot be computed; returns the jobs that ended for it, with their states.

        Those that had succeeded, and lost it since, expire: nobody waits for what will not come.
        """
        moment = await now(self._client)
        args = [task.ref, moment, self._ttl, json.dumps(problem)]
        return _settled(await self._fail(args=args))

    async def cancel(self, ref: str) -> dict[str, str]:
        """Cancel a job: its tiles stop unless another job waits for them. Returns the jobs that ended with
        it, and it, with their states; none when it had ended."""
        return _settled(await self._cancel(args=[ref, await now(self._client), self._ttl]))

    async def delete(self, *refs: str) -> dict[str, str]:
        """Forget jobs and everything kept for them (tiles live out their time); returns those that ended for
        it, with their states."""
        moment, ended = await now(self._client), dict[str, str]()
        for ref in refs:
            args = [ref, keys.listing(ref), moment, self._ttl, *keys.JOB_PARTS]
            ended |= _settled(await self._delete(args=args))
        return ended

    async def refill(self, ref: str, entries: Sequence[str]) -> None:
        """Have tiles of an ended job computed again (entries as in its pending list)."""
        await self._refill(args=[ref, self._ttl, *entries])
        await self.pump()

    async def postpone(self, task: AnswerTask, kernels: Sequence[str]) -> int:
        """Put an answer that is being computed off until these kernel jobs are whole again; returns
        how often it has been."""
        moment = await now(self._client)
        return int(await self._postpone(args=[task.ref, moment, self._ttl, *kernels]))

    async def sweep(self) -> None:
        """Queue again every tile in flight, then fill up; harmless at any time."""
        flights: list[bytes] = raw(await self._client.hvals(keys.INFLIGHT))
        await self._queue.add([read_flight(flight) for flight in flights])
        await self.pump()


def _settled(reply: Sequence[bytes]) -> dict[str, str]:
    """What a script says of jobs that ended: their states, by reference."""
    words = [word.decode() for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))
