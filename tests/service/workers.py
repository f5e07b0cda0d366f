"""A worker in the test's own process: the real queue and tiler, and whatever computes its tiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from service.queue.docket import SPARE_SLOTS
from service.queue.roster import WorkerCard
from service.queue.tasks import Compute, Task
from service.state import Service
from service.worker.tiler import Tiler


@asynccontextmanager
async def live_worker(
    service: Service, compute: Compute, *, slots: int = 1, name: str = "tester"
) -> AsyncGenerator[Tiler]:
    """Inside, tiles are taken off the service's queue, `slots` at a time and one of the spare lane."""
    card = WorkerCard(name, slots, "cpu", "none")
    await service.roster.announce(card)
    with ThreadPoolExecutor(slots + SPARE_SLOTS) as pool:
        tiler = Tiler(service, compute, pool, card, _hung)
        await service.dispatch.sweep()
        serving = asyncio.create_task(service.queue.serve(tiler.handle, name=name, slots=slots))
        try:
            yield tiler
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def _hung(task: Task) -> None:
    raise AssertionError(f"{task.ref} hangs")
