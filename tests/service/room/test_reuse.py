"""Tiles are computed once: for identical, extended and simultaneous requests, and for readers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.inputs import Inputs
from service.errors import TilesMissing, UnknownJob
from service.records import JobRecord, KernelRequest
from service.state import Service

from .conftest import Workbench, Worker

Finished = Callable[[JobRecord], Awaitable[JobRecord]]
Requests = Callable[..., KernelRequest]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

# Rows of a full group of vectors (kernels.plan.tiles): 2 x FULL rows are 2 groups, 3 tiles.
FULL = 512
# What the workbench does not compute: a network is approximate by its name, and on sequences.
APPROXIMATE = parse_architecture(
    {
        "layers": [
            {"type": "attention", "mechanism": {"type": "softmax", "rank": 2}},
            {"type": "global_avg_pool"},
        ]
    }
)


async def test_identical_requests_compute_nothing_twice(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    async with worker():
        await finished(await service.jobs.create("default", request_of(4, 3)))
        again = await service.jobs.create("default", request_of(4, 3))
    assert again.state == "succeeded"
    assert again.receipt is not None
    assert again.receipt["tiles"] == {"total": 1, "computed": 0, "reused": 1}
    assert again.receipt["device_kind"] == "cpu"
    assert set(workbench.computed.values()) == {1}


async def test_jobs_that_want_one_tile_at_once_compute_it_once(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    workbench.hold.clear()
    async with worker(slots=2):
        records = [await service.jobs.create("default", request_of(5)) for _ in range(3)]
        workbench.hold.set()
        ended = [await finished(record) for record in records]
    assert [record.state for record in ended] == ["succeeded"] * 3
    assert sum(workbench.computed.values()) == 1
    receipts = [record.receipt["tiles"]["computed"] for record in ended if record.receipt]
    assert sorted(receipts) == [0, 0, 1]


async def test_an_extension_reuses_the_tiles_of_its_prefix(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        first = await finished(await service.jobs.create("default", request_of(FULL)))
        longer = await finished(await service.jobs.create("default", request_of(FULL + 40)))
    assert first.tiles_total == 1
    assert (longer.tiles_total, longer.tiles_reused) == (3, 1)


async def test_repeated_rows_are_one_tile_and_all_places_are_filled(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    once = request_of(FULL)
    twice = replace(once, inputs1=Inputs(np.concatenate([once.inputs1.x] * 3), None))
    async with worker():
        ended = await finished(await service.jobs.create("default", twice))
    # Three diagonal tiles share a digest, and so do the three beside the diagonal.
    assert (ended.tiles_total, ended.tiles_done) == (6, 6)
    assert sum(workbench.computed.values()) == 2


async def test_other_tenants_share_nothing(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        mine = await finished(await service.jobs.create("default", request_of(4)))
        theirs = await finished(await service.jobs.create("other", request_of(4)))
    assert theirs.tiles_reused == 0
    digests = [(await service.jobs.layout(record)).digests for record in (mine, theirs)]
    assert digests[0] != digests[1]
    with pytest.raises(UnknownJob):
        await service.jobs.get("other", mine.id)


async def test_evicted_tiles_are_computed_again_for_a_reader(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        record = await finished(await service.jobs.create("default", request_of(2 * FULL)))
        layout = await service.jobs.layout(record)
        await service.tiles_client.flushall()
        await service.jobs.ensure_tiles(layout, [0, 2], 20)
        there = await service.tiles.present("default", layout.digests)
    assert there == [True, False, True]
    assert (await service.jobs.get("default", record.id)).state == "succeeded"


async def test_evicted_tiles_without_a_worker_are_said_to_be_missing(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        record = await finished(await service.jobs.create("default", request_of(4)))
    layout = await service.jobs.layout(record)
    await service.tiles_client.flushall()
    with pytest.raises(TilesMissing):
        await service.jobs.ensure_tiles(layout, [0], 0.1)


async def test_the_receipt_has_the_largest_error_of_all_tiles_wherever_they_come_from(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    # Two groups; the first is the further off, in its own tile and in the one with the second.
    first = request_of(FULL, architecture=APPROXIMATE)
    both = request_of(FULL + 3, architecture=APPROXIMATE)
    workbench.error = lambda rows: {"mixing": 0.1 if len(rows) == 3 else 0.7 / 3}

    async def error(request: KernelRequest) -> tuple[int, object]:
        record = await finished(await service.jobs.create("default", request))
        assert record.receipt is not None
        return record.tiles_reused, record.receipt["error_estimate"]

    async with worker():
        assert await error(both) == (0, {"mixing": 0.7 / 3})
        # All from the cache, one from the cache, and none.
        assert await error(both) == (3, {"mixing": 0.7 / 3})
        assert await error(first) == (1, {"mixing": 0.7 / 3})
        last = replace(both, inputs1=both.inputs1.take(range(FULL, FULL + 3)))
        assert await error(last) == (1, {"mixing": 0.1})
        more = request_of(FULL + 4, architecture=APPROXIMATE)
        assert await error(more) == (1, {"mixing": 0.7 / 3})


async def test_a_tile_evicted_while_a_job_is_made_still_counts_with_its_error(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workbench.error = lambda rows: {"mixing": 0.25}
    request = request_of(4, architecture=APPROXIMATE)
    renew = service.tiles.renew

    async def then_evicted(tenant: str, digests: Sequence[str]) -> list[bool]:
        found = await renew(tenant, digests)
        await service.tiles_client.flushall()
        return found

    async with worker():
        await finished(await service.jobs.create("default", request))
        with monkeypatch.context() as patched:
            patched.setattr(service.tiles, "renew", then_evicted)
            again = await service.jobs.create("default", request)
        ended = await finished(again)
    assert ended.receipt is not None
    assert ended.receipt["tiles"] == {"total": 1, "computed": 1, "reused": 0}
    assert ended.receipt["error_estimate"] == {"mixing": 0.25}
