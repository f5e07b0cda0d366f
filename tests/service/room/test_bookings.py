"""What a tenant keeps is booked: all of it, once, for as long as it is there, at little cost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from service.access import path_tokens
from service.answers.answers import Answers
from service.errors import OverLimit, UnknownJob
from service.records import JobRecord, KernelRequest
from service.state import Service
from service.store import holding, keys
from service.store.datasets import DIGEST_BYTES

from .conftest import Worker

Requests = Callable[..., KernelRequest]
Finished = Callable[[JobRecord], Awaitable[JobRecord]]
X = np.arange(3_000_000.0).reshape(1000, 3000)


async def names(service: Service, pattern: str) -> list[bytes]:
    return [name async for name in service.client.scan_iter(pattern)]


async def taken(service: Service, pattern: str = "gramd:*") -> int:
    """What the keys take in the store, as Redis says."""
    found = [await service.client.memory_usage(name, 0) for name in await names(service, pattern)]
    return sum(found)


async def total(service: Service) -> int:
    """What the tenant has booked, which is the sum of its bookings."""
    books = {k: int(v) for k, v in (await service.client.hgetall(keys.books("default"))).items()}
    ends = await service.client.zrange(keys.held("default"), 0, -1)
    sums = books.pop(b"total", 0)
    assert sums == sum(books.values())
    assert set(ends) == set(books)
    return sums


async def test_uploads_of_the_same_at_once_leave_one_dataset(service: Service) -> None:
    made = await asyncio.gather(*(service.datasets.create("default", X) for _ in range(6)))
    assert len({(dataset.id, dataset.created_at) for dataset in made}) == 1
    # Three pieces and a record.
    assert len(await names(service, "gramd:dataset:*")) == 4
    assert await total(service) == X.nbytes + holding.OVERHEAD
    assert await taken(service) < X.nbytes * 1.5
    await service.datasets.delete("default", made[0].id)
    assert await names(service, "gramd:*") == [b"gramd:secret:default"]
    assert await total(service) == 0


async def test_what_is_deleted_while_it_is_uploaded_is_there_and_booked_or_neither(
    service: Service,
) -> None:
    x = np.ones((3, 2))
    for _ in range(100):
        made = await service.datasets.create("default", x)

        async def delete(dataset_id: str = made.id) -> None:
            await service.datasets.delete("default", dataset_id)

        again = (service.datasets.create("default", x) for _ in range(3))
        found = await asyncio.gather(delete(), *again, return_exceptions=True)
        assert [error for error in found if isinstance(error, Exception)] == []
        there = await service.datasets.renew("default", made.id)
        assert await total(service) == (0 if there is None else x.nbytes + holding.OVERHEAD)
        assert len(await names(service, "gramd:dataset:*")) == (0 if there is None else 2)


async def test_many_bookings_cost_one_job_nothing(service: Service, request_of: Requests) -> None:
    many = {f"rows:{number}": 10 for number in range(100_000)}
    ttl, quota = timedelta(hours=1), 1 << 40
    for start in range(0, len(many), 5000):
        some = dict(list(many.items())[start : start + 5000])
        await holding.hold(service.client, "default", some, ttl, quota)
    await service.client.config_resetstat()
    job = await service.jobs.create("default", request_of(4))
    await service.jobs.delete("default", job.id)
    made = await service.datasets.create("default", np.ones((3, 2)))
    await service.datasets.delete("default", made.id)
    stats = await service.client.info("commandstats")
    # Looking at all of them takes more than 50 ms.
    assert stats["cmdstat_evalsha"]["usec_per_call"] < 5000
    assert stats.get("cmdstat_zrange", {"usec_per_call": 0})["usec_per_call"] < 1000


async def test_what_is_over_makes_room_a_little_at_a_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "LAPSES", 10)
    client, size = service.client, 100
    quota = 100 * (size + holding.OVERHEAD)

    async def hold(kind: str, count: int, seconds: float) -> None:
        sizes = {f"{kind}:{number}": size for number in range(count)}
        await holding.hold(client, "default", sizes, timedelta(seconds=seconds), quota)

    await hold("brief", 99, 0.2)
    await hold("long", 1, 60)
    with pytest.raises(OverLimit):
        await hold("other", 1, 60)
    await asyncio.sleep(0.3)
    await hold("other", 1, 60)
    # Not all at once, where there is room.
    assert size < await total(service) <= quota - 10 * size
    await hold("more", 98, 60)
    assert await total(service) == quota
    with pytest.raises(OverLimit):
        await hold("last", 1, 60)
    await holding.unbook(client, "default", ["other:0", "unknown"])
    await hold("last", 1, 60)


async def test_what_a_job_takes_is_booked_and_goes_with_it(
    service: Service, worker: Worker, request_of: Requests, finished: Finished
) -> None:
    made: list[JobRecord] = []
    async with worker():
        # What stays: the tenant's secret, the pace of its network.
        first = await finished(await service.jobs.create("default", request_of(4)))
        await service.jobs.delete("default", first.id)
        before = set(await names(service, "gramd:*default*"))
        assert {name.split(b":")[1] for name in before} == {b"secret", b"pace"}
        empty = await taken(service, "gramd:*default*")
        for seed in range(10):
            made.append(await finished(await service.jobs.create("default", request_of(seed=seed))))
        alone = await taken(service, "gramd:*default*") - empty
        assert alone <= await total(service) <= 1.4 * alone
        for job in made:
            for kind in ("diagnostics", "preview"):
                fields = await service.examinations.fields(job, kind, 30)
                assert fields["state"] == "succeeded", fields
            await service.path_tokens.make(keys.ref("default", job.id))
        # Tokens end soon, and are not booked.
        tokens = await taken(service, "gramd:path_token:*")
        whole = await taken(service, "gramd:*default*") - empty
        assert whole <= await total(service) <= 1.4 * whole
        assert tokens > 0
    for job in made:
        await service.jobs.delete("default", job.id)
    assert set(await names(service, "gramd:*default*")) == before
    assert await names(service, "gramd:path_token:*") == []
    assert await total(service) == 0


async def test_many_small_things_take_what_is_booked(
    service: Service, request_of: Requests
) -> None:
    for number in range(200):
        await service.datasets.create("default", np.full((1, 1), float(number)))
    taken_by_datasets = await taken(service, "gramd:*default*")
    assert taken_by_datasets <= await total(service) <= 1.5 * taken_by_datasets
    dataset = (await service.datasets.create("default", np.ones((2, 2)))).id
    before = await total(service), await taken(service, "gramd:made:*")
    digests = [f"{number:064x}" for number in range(20_000)]
    await service.datasets.remember("default", [dataset], digests)
    await service.datasets.remember("default", [dataset], digests)
    booked = await total(service) - before[0]
    assert booked == 20_000 * DIGEST_BYTES
    made = await taken(service, "gramd:made:*")
    assert made <= booked <= 2 * made
    await service.datasets.delete("default", dataset)
    assert await total(service) < before[0]
    # Nobody would ever look for what is noted of a dataset that is gone.
    await service.datasets.remember("default", [dataset], digests)
    assert await names(service, "gramd:made:*") == []


async def test_an_examination_of_a_job_that_is_deleted_meanwhile_leaves_nothing(
    service: Service, worker: Worker, request_of: Requests, finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async with worker():
        job = await finished(await service.jobs.create("default", request_of(4)))
    start = Answers.start

    async def deleted_before(self: Answers, *args: Any, **kwargs: Any) -> None:
        await service.jobs.delete("default", job.id)
        await start(self, *args, **kwargs)

    monkeypatch.setattr(Answers, "start", deleted_before)
    with pytest.raises(UnknownJob):
        await service.examinations.fields(job, "diagnostics", 0)
    assert await names(service, f"*{job.id}*") == []
    assert await total(service) == 0


async def test_of_tokens_that_have_ended_nothing_is_kept(
    service: Service, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keys.ref("default", (await service.jobs.create("default", request_of(4))).id)
    kept = keys.job(ref, "tokens")
    monkeypatch.setattr(path_tokens, "LIFETIME", timedelta(seconds=1))
    for _ in range(50):
        await service.path_tokens.make(ref)
    # As it is for whoever asks again before the last of them has ended.
    await service.client.persist(kept)
    await asyncio.sleep(1.1)
    monkeypatch.undo()
    made = await service.path_tokens.make(ref)
    assert await service.client.memory_usage(kept, 0) < 500
    assert await service.path_tokens.job(made.token) == ref
    await service.jobs.delete("default", ref.partition(":")[2])
    assert await service.path_tokens.job(made.token) is None
