"""Fairness, second chances and dead letters, with workers in this process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from kernels.inputs import Inputs
from service.queue.docket import Queue
from service.queue.tasks import TileTask
from service.records import JobRecord, KernelRequest
from service.state import Service
from service.store import keys

from .conftest import PATIENCE_S, Workbench, Worker

Finished = Callable[[JobRecord], Awaitable[JobRecord]]
Requests = Callable[..., KernelRequest]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

FULL = 512


async def test_a_small_job_is_not_stuck_behind_a_large_one(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    workbench.hold.clear()
    async with worker():
        large = await service.jobs.create("default", request_of(8 * FULL, outputs=("nngp",)))
        assert large.tiles_total == 36
        small = await service.jobs.create("default", request_of(7, seed=3))
        workbench.hold.set()
        assert (await finished(small)).state == "succeeded"
        before = workbench.order.index(7)
        assert (await finished(large)).state == "succeeded"
    # The small one waits for what is in flight, and not for the large one's other tiles.
    assert before <= 6
    assert len(workbench.order) == 37


async def test_a_small_job_is_computed_beside_a_large_one(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    may_end = threading.Event()

    def hold_large(rows: Inputs) -> None:
        if len(rows.x) == FULL:
            assert may_end.wait(PATIENCE_S), "the test never let this tile go"

    workbench.verdict = hold_large
    async with worker(slots=2):
        large = await service.jobs.create("default", request_of(8 * FULL, outputs=("nngp",)))
        # One after the other: the spare place is free again, and the large job never has it.
        for seed in (3, 4):
            small = await service.jobs.create("default", request_of(7, seed=seed))
            assert (await finished(small)).state == "succeeded"
            assert await service.client.hlen(keys.INFLIGHT) == 3
            assert not await service.client.exists(keys.SPARED)
        may_end.set()
        assert (await finished(large)).state == "succeeded"


async def test_jobs_take_turns(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    first = await service.jobs.create("default", request_of(3 * FULL, seed=1))
    second = await service.jobs.create("default", request_of(3 * FULL, seed=2))
    async with worker():
        done = [await finished(record) for record in (first, second)]
    assert [record.tiles_done for record in done] == [6, 6]
    assert all(record.finished_at for record in done)
    assert not await service.client.exists(keys.INFLIGHT, keys.SPARED, keys.RING, keys.LIVE)


async def test_only_a_few_tiles_are_in_flight(service: Service, request_of: Requests) -> None:
    for seed in range(4):
        await service.jobs.create("default", request_of(3 * FULL, seed=seed))
    assert await service.client.hlen(keys.INFLIGHT) == 4
    await service.dispatch.sweep()
    assert await service.client.hlen(keys.INFLIGHT) == 4
    assert await service.client.xlen(f"{keys.DOCKET}:stream") == 4


async def test_an_unexpected_failure_is_tried_again(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    left = [RuntimeError("out of memory"), RuntimeError("out of memory")]

    def stumble(rows: Inputs) -> None:
        if left:
            raise left.pop()

    workbench.verdict = stumble
    async with worker():
        ended = await finished(await service.jobs.create("default", request_of(4)))
    assert ended.state == "succeeded"
    assert not left


async def test_a_tile_that_always_fails_is_given_up_and_others_go_on(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    tries: list[int] = []

    def stumble(rows: Inputs) -> None:
        if len(rows.x) == 5:
            tries.append(1)
            raise RuntimeError("the device is on fire")

    workbench.verdict = stumble
    async with worker():
        bad = await finished(await service.jobs.create("default", request_of(5)))
        good = await finished(await service.jobs.create("default", request_of(4)))
    assert (bad.state, good.state) == ("failed", "succeeded")
    assert len(tries) == service.settings.max_deliveries
    assert bad.error is not None
    assert "the device is on fire" in bad.error["detail"]
    assert bad.error["status"] == 500


async def test_a_tile_lost_before_the_queue_is_found_by_the_sweep(
    service: Service,
    worker: Worker,
    request_of: Requests,
    finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def die(self: Queue, tasks: list[TileTask]) -> None:
        raise ConnectionError("the queue went away here")

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "add", die)
        record = await service.jobs.create("default", request_of(4))
    assert await service.client.hlen(keys.INFLIGHT) == 1
    assert await service.client.xlen(f"{keys.DOCKET}:stream") == 0
    async with worker():
        await service.dispatch.sweep()
        assert (await finished(record)).state == "succeeded"


async def test_a_stopping_worker_gives_its_tile_back(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
    eventually: Eventually,
) -> None:
    workbench.hold.clear()
    async with worker(name="first") as tiler:

        async def running() -> bool:
            return bool(tiler.active)

        async def idle() -> bool:
            return not tiler.active

        record = await service.jobs.create("default", request_of(4))
        await eventually(running)
        tiler.stop()
        await eventually(idle)
    assert workbench.stopped == 1
    [tile] = [key.decode() async for key in service.client.scan_iter("gramd:deliveries:*")]
    # Being given back does not count against the tile.
    assert await service.client.get(tile) == b"0"
    async with worker(name="second"):
        assert (await finished(record)).state == "succeeded"


async def test_unfinished_jobs_do_not_expire(service: Service, request_of: Requests) -> None:
    record = await service.jobs.create("default", request_of(4))
    ref = keys.ref("default", record.id)
    layout, _ = await service.records.layout(ref)
    names = [keys.job(ref, "layout"), keys.rows("default", layout["rows1"][0])]
    for name in names:
        await service.client.expire(name, 5)
    await service.client.zadd(keys.LIVE, {ref: 0})
    await service.lifetimes.renew_live()
    assert all([await service.client.ttl(name) > 1000 for name in names])


async def test_whatever_is_cancelled_or_deleted_the_tables_end_up_empty(
    service: Service,
    worker: Worker,
    request_of: Requests,
    finished: Finished,
    eventually: Eventually,
) -> None:
    async with worker(slots=2):
        # Overlapping jobs: seeds repeat, so tiles are shared between jobs that come and go.
        records = [
            await service.jobs.create(
                "default", request_of(FULL + 8 * (number % 3), seed=number % 4)
            )
            for number in range(24)
        ]
        ends = [service.jobs.cancel, service.jobs.delete]
        await asyncio.gather(
            *(ends[number % 2]("default", record.id) for number, record in enumerate(records[::3]))
        )
        kept = [record for number, record in enumerate(records) if number % 3]
        assert {(await finished(record)).state for record in kept} == {"succeeded"}

        async def empty() -> bool:
            left = await service.client.exists(keys.INFLIGHT, keys.SPARED, keys.RING, keys.LIVE)
            waiting = await service.client.keys(f"{keys.WAITERS_PREFIX}*")
            counted = await service.client.keys(f"{keys.DELIVERIES_PREFIX}*")
            return not left and not waiting and not counted

        await eventually(empty)
