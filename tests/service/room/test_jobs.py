"""The life of a job: created, computed, waited for, listed, cancelled, deleted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from kernels.errors import InputError
from kernels.inputs import Inputs
from service.errors import UnknownJob
from service.queue.tasks import TileTask
from service.records import JobRecord, KernelRequest
from service.state import Service, open_service
from service.store import keys
from service.store.job_fields import KernelFields

from .conftest import Workbench, Worker

Finished = Callable[[JobRecord], Awaitable[JobRecord]]
Requests = Callable[..., KernelRequest]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

# Rows of a full group of vectors (kernels.plan.tiles): 2 x FULL rows are 2 groups, 3 tiles.
FULL = 512


async def test_a_job_is_computed_and_says_what_was_done(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        record = await service.jobs.create("default", request_of(4))
        assert record.state in ("queued", "running")
        ended = await finished(record)
    assert ended.state == "succeeded"
    assert (ended.tiles_total, ended.tiles_done, ended.tiles_reused) == (1, 1, 0)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.receipt is not None
    assert ended.receipt["tiles"] == {"total": 1, "computed": 1, "reused": 0}
    assert ended.receipt["device_kind"] == "cpu"
    assert ended.receipt["architecture"] == request_of(4).architecture.digest
    assert set(ended.receipt["inputs"]) == {"x1"}
    layout = await service.jobs.layout(record)
    values = await service.tiles.read("default", layout.digests[0], "ntk")
    assert values is not None
    x = request_of(4).inputs1.x
    np.testing.assert_array_equal(values, x @ x.T)


async def test_what_is_stored_of_a_job_is_in_the_list_of_fields(
    service: Service, worker: Worker, workbench: Workbench, request_of: Requests, finished: Finished
) -> None:
    workbench.error = lambda rows: {"mixing": 0.25}
    async with worker():
        for _ in range(2):
            record = await finished(await service.jobs.create("default", request_of(4)))
            ref = keys.ref("default", record.id)
            names = {name.decode() for name in await service.client.hkeys(keys.job(ref))}
            errors = {name for name in names if name.startswith(keys.ERROR_ESTIMATE)}
            assert KernelFields.__required_keys__ <= names - errors
            assert names - errors <= KernelFields.__annotations__.keys()


async def test_cancelling_stops_a_running_tile_and_keeps_the_record(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    eventually: Eventually,
) -> None:
    workbench.hold.clear()
    async with worker() as tiler:

        async def running() -> bool:
            return bool(tiler.active)

        record = await service.jobs.create("default", request_of(2 * FULL))
        await eventually(running)
        cancelled = await service.jobs.cancel("default", record.id)
        assert cancelled.state == "cancelled"

        async def idle() -> bool:
            return await service.client.hlen(keys.INFLIGHT) == 0

        await eventually(idle)
        assert workbench.stopped == 1
        assert not workbench.computed
        # Cancelling again, or waiting, changes nothing.
        assert (await service.jobs.cancel("default", record.id)).state == "cancelled"
        assert (await service.jobs.wait("default", record.id, 0.1)).state == "cancelled"


async def test_what_a_cancelled_job_has_is_there_until_it_expires(
    service: Service, request_of: Requests
) -> None:
    record = await service.jobs.create("default", request_of(4))
    ref = keys.ref("default", record.id)
    needed = [name async for name in service.client.scan_iter("gramd:rows:*")]
    needed.append(keys.job(ref, "layout").encode())
    # It waited for most of its lifetime.
    for name in needed:
        await service.client.expire(name, 60)
    cancelled = await service.jobs.cancel("default", record.id)
    left = (cancelled.expires_at - datetime.now(UTC)).total_seconds()
    for name in needed:
        assert await service.client.ttl(name) >= left - 5, name


async def test_cancelling_one_of_two_jobs_lets_the_other_have_its_tile(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    workbench.hold.clear()
    async with worker():
        first = await service.jobs.create("default", request_of(6))
        second = await service.jobs.create("default", request_of(6))
        await service.jobs.cancel("default", first.id)
        workbench.hold.set()
        ended = await finished(second)
    assert ended.state == "succeeded"
    assert workbench.stopped == 0


async def test_deleting_leaves_no_trace_of_the_job(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    async with worker():
        record = await finished(await service.jobs.create("default", request_of(4)))
    await service.jobs.delete("default", record.id)
    with pytest.raises(UnknownJob):
        await service.jobs.get("default", record.id)
    assert [key async for key in service.client.scan_iter(f"*{record.id}*")] == []
    assert await service.jobs.list("default", None, 10) == ([], None)


async def test_waiting_returns_when_the_time_is_up(service: Service, request_of: Requests) -> None:
    record = await service.jobs.create("default", request_of(4))
    assert (await service.jobs.wait("default", record.id, 0.05)).state == "queued"


async def test_jobs_are_listed_newest_first_page_by_page(
    service: Service, request_of: Requests
) -> None:
    made = [(await service.jobs.create("default", request_of(2, seed=s))).id for s in range(5)]
    first, cursor = await service.jobs.list("default", None, 3)
    rest, end = await service.jobs.list("default", cursor, 3)
    assert {record.id for record in first + rest} == set(made)
    assert [record.created_at for record in first + rest] == sorted(
        (record.created_at for record in first + rest), reverse=True
    )
    assert (len(first), len(rest), end) == (3, 2, None)


async def test_a_refused_tile_fails_its_job_with_the_reason(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    def refuse(rows: Inputs) -> None:
        if len(rows.x) == 3:
            raise InputError("expected rows of another kind", "/x1")

    workbench.verdict = refuse
    async with worker():
        bad = await finished(await service.jobs.create("default", request_of(3)))
        good = await finished(await service.jobs.create("default", request_of(4)))
    assert (bad.state, good.state) == ("failed", "succeeded")
    assert bad.error is not None
    assert "expected rows of another kind" in bad.error["detail"]


async def test_a_tile_past_its_deadline_is_stopped_and_its_job_says_so(
    service: Service,
    worker: Worker,
    workbench: Workbench,
    request_of: Requests,
    finished: Finished,
) -> None:
    workbench.hold.clear()
    # The workbench looks at its flag a hundred times a second: it stops long before it counts as hung.
    hasty = replace(service.settings, tile_deadline=timedelta(seconds=1))
    async with open_service(hasty) as impatient, worker(service=impatient):
        ended = await finished(await service.jobs.create("default", request_of(4)))
    assert ended.state == "failed"
    assert ended.error is not None
    assert ended.error["type"].endswith("tile-too-long")
    assert "after 1 s" in ended.error["detail"]
    assert workbench.stopped == 1


async def test_no_tile_is_given_up_because_the_tile_store_is_away(
    service: Service,
    worker: Worker,
    request_of: Requests,
    finished: Finished,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    nowhere = replace(service.settings, tiles_url=f"unix://{tmp_path / 'nowhere'}")
    record = await service.jobs.create("default", request_of(4))
    tries = 0

    async def tried() -> bool:
        await service.dispatch.sweep()
        return tries > 2 * service.settings.max_deliveries

    async with open_service(nowhere) as cut_off, worker(service=cut_off):
        begin = cut_off.dispatch.begin

        async def counted(task: TileTask) -> int:
            nonlocal tries
            tries += 1
            return await begin(task)

        cut_off.dispatch.begin = counted
        await eventually(tried)
    async with worker():
        assert (await finished(record)).state == "succeeded"


async def test_an_expired_job_says_so(
    service: Service,
    worker: Worker,
    request_of: Requests,
    finished: Finished,
    eventually: Eventually,
) -> None:
    brief = replace(service.settings, job_ttl=timedelta(seconds=1))
    async with open_service(brief) as short, worker():
        # The worker's own settings decide when the job it finishes expires; keep it cached.
        await finished(await service.jobs.create("default", request_of(4)))
        record = await short.jobs.create("default", request_of(4))
        assert record.state == "succeeded"

        async def expired() -> bool:
            return (await short.jobs.get("default", record.id)).state == "expired"

        await eventually(expired)
