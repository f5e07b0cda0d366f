"""The queue's Redis is full, and evicts nothing: what is there can be read, and thrown away."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from redis.exceptions import OutOfMemoryError

from service.errors import OverLimit
from service.queue.docket import Queue
from service.queue.roster import WorkerCard
from service.queue.tasks import Task
from service.state import Service
from service.store import keys
from service.store.answers import AnswerStore
from service.worker.worker import sweep

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
PREDICTION = {"architecture": DENSE, "x_train": [[1.0]], "y_train": [1.0], "x_test": [[2.0]]}
UPLOAD = {"shape": [4, 2], "dtype": "float32", "part_rows": 2}
SEALED = {"state": "sealed"}


@asynccontextmanager
async def full(service: Service) -> AsyncIterator[None]:
    """Inside, it takes nothing more."""
    await service.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await service.client.config_set("maxmemory", 0)


async def test_what_is_there_can_be_read_and_thrown_away(client, service, npy):
    jobs = [(await client.post("/v1/kernels", json=BODY)).headers["location"] for _ in range(2)]
    dataset = (await client.post("/v1/datasets", content=npy([[1.0]]))).headers["location"]
    async with full(service):
        for path in ("/v1/kernels", "/v1/limits", *jobs, dataset):
            assert (await client.get(path)).status_code == 200, path
        cancelled = await client.patch(jobs[0], json={"state": "cancelled"})
        assert cancelled.json()["state"] == "cancelled"
        for path in (*jobs, dataset):
            assert (await client.delete(path)).status_code == 204, path
    assert (await client.get("/v1/kernels")).json()["kernels"] == []


async def test_jobs_live_on_though_nothing_can_be_queued(client, service, monkeypatch):
    async def die(self: Queue, tasks: list[Task]) -> None:
        raise ConnectionError("the queue went away here")

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "add", die)
        ref = keys.ref("default", (await client.post("/v1/kernels", json=BODY)).json()["id"])
    await service.client.zadd(keys.LIVE, {ref: 1.0})
    async with full(service):
        with pytest.raises(OutOfMemoryError):
            await service.dispatch.sweep()
        sweeping = asyncio.create_task(sweep(service))
        while (await service.client.zscore(keys.LIVE, ref)) == 1.0:
            assert not sweeping.done()
            await asyncio.sleep(0.01)
        sweeping.cancel()


async def test_a_tenant_that_was_never_here_gets_an_estimate(client, service):
    async with full(service):
        answer = await client.post("/v1/estimates", json=BODY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tiles"]["to_compute"] == 1


async def test_what_is_new_is_refused_with_the_limit(client, service, npy, left_behind):
    assert (await client.post("/v1/kernels", json=BODY)).status_code == 202
    before = await left_behind()
    async with full(service):
        for answer in (
            await client.post("/v1/kernels", json=BODY | {"x1": [[3.0, 4.0]]}),
            await client.post("/v1/kernels", json=BODY, headers={"Idempotency-Key": "one"}),
            await client.post("/v1/datasets", content=npy([[1.0]])),
            await client.post("/v1/datasets", json=UPLOAD),
            await client.post("/v1/predictions", json=PREDICTION),
        ):
            assert problem(answer, 507)["limit_name"] == "queue_store_bytes"
        # Looking costs nothing that is kept.
        assert (
            await client.post("/v1/architectures", json={"architecture": DENSE})
        ).status_code < 500
        assert (await client.post("/v1/estimates", json=BODY)).status_code == 200
    assert await left_behind() <= before


async def test_sealing_is_refused_with_the_limit_and_can_be_done_later(client, service, npy):
    upload = (await client.post("/v1/datasets", json=UPLOAD)).json()
    rows = npy(np.ones((2, 2), np.float32))
    digest = base64.b64encode(hashlib.sha256(rows).digest()).decode()
    for part in (0, 1):
        url, headers = (
            f"{upload['links']['parts']}/{part}",
            {"Content-Digest": f"sha-256=:{digest}:"},
        )
        assert (await client.put(url, content=rows, headers=headers)).status_code == 204
    async with full(service):
        refused = problem(await client.patch(upload["links"]["self"], json=SEALED), 507)
        assert refused["limit_name"] == "queue_store_bytes"
    assert (await client.patch(upload["links"]["self"], json=SEALED)).status_code == 200


async def test_what_a_get_needs_room_for_says_that_there_is_none(client, service, working):
    async with working():
        job = await client.post("/v1/kernels", json=BODY, headers={"Prefer": "wait=30"})
    async with full(service):
        refused = problem(await client.get(job.json()["links"]["diagnostics"]), 503)
    assert refused["detail"].startswith("the store is full; delete jobs or datasets")


async def booked(service: Service) -> set[bytes]:
    """What counts against the tenant's quota of inputs."""
    return set(await service.client.zrange(keys.held("default"), 0, -1))


async def test_what_is_refused_is_not_booked(client, service, npy):
    assert (await client.post("/v1/kernels", json=BODY)).status_code == 202
    dataset = (await client.post("/v1/datasets", content=npy([[1.0]]))).json()
    before = await booked(service)
    # The job, its rows, its architecture, the dataset.
    assert len(before) == 4
    async with full(service):
        for answer in (
            await client.post("/v1/kernels", json=BODY | {"x1": [[3.0, 4.0]]}),
            await client.post("/v1/kernels", json=BODY),
            await client.post("/v1/datasets", content=npy([[2.0]])),
            await client.post("/v1/datasets", json=UPLOAD),
            await client.post("/v1/predictions", json=PREDICTION),
        ):
            problem(answer, 507)
    assert await booked(service) == before
    assert (await client.get(dataset["links"]["self"])).status_code == 200


async def test_a_dataset_that_fits_in_part_leaves_no_part(service, left_behind):
    before = await left_behind()
    used = (await service.client.info("memory"))["used_memory"]
    await service.client.config_set("maxmemory", used + (20 << 20))
    try:
        with pytest.raises(OverLimit):
            await service.datasets.create("default", np.ones((40 << 10, 128)))
    finally:
        await service.client.config_set("maxmemory", 0)
    assert await left_behind() <= before | {b"gramd:secret:default"}


@pytest.mark.parametrize("path", ["kernels", "predictions"])
async def test_a_record_that_finds_no_room_leaves_no_rows(
    client, service, left_behind, monkeypatch, path
):
    assert (await client.post("/v1/kernels", json=BODY)).status_code == 202
    before = await left_behind(), await booked(service)

    async def refuse(*_, **__):
        raise OutOfMemoryError

    store = service.records if path == "kernels" else AnswerStore
    monkeypatch.setattr(store, "write" if path == "kernels" else "create", refuse)
    body = BODY | {"x1": [[1.0, 2.0], [3.0, 4.0]]} if path == "kernels" else PREDICTION
    problem(await client.post(f"/v1/{path}", json=body), 507)
    made = {name for name in await left_behind() - before[0] if b"architecture" not in name}
    assert made == set()
    assert await booked(service) == before[1]


async def test_a_job_that_was_stored_is_answered_though_nothing_is_handed_out(
    client, service, working, monkeypatch
):
    async def refuse(_):
        raise OutOfMemoryError

    headers = {"Idempotency-Key": "one"}
    with monkeypatch.context() as patched:
        patched.setattr(service.queue, "add", refuse)
        job = await client.post("/v1/kernels", json=BODY, headers=headers)
        assert job.status_code == 202, job.text
        prediction = await client.post("/v1/predictions", json=PREDICTION)
        assert prediction.status_code == 202, prediction.text
    again = await client.post("/v1/kernels", json=BODY, headers=headers)
    assert again.json()["id"] == job.json()["id"]
    async with working():
        for answer in (job, prediction):
            url = answer.headers["location"]
            ended = (await client.get(url, headers={"Prefer": "wait=30"})).json()
            assert ended["state"] == "succeeded", ended


async def test_its_ceiling_is_among_the_limits(client, service):
    assert "queue_store_bytes" not in (await client.get("/v1/limits")).json()["limits"]
    async with full(service):
        refused = problem(await client.post("/v1/kernels", json=BODY), 507)
        limits = (await client.get("/v1/limits")).json()["limits"]
    assert limits[refused["limit_name"]] == refused["limit"] == 1


async def test_workers_are_seen(service):
    async with full(service):
        await service.roster.announce(WorkerCard("one", 1, "cpu", "none"))
        assert [card.name for card in await service.roster.alive()] == ["one"]


async def test_a_tile_that_finds_no_room_is_computed_once(client, service, working):
    before = (await service.tiles_client.config_get("maxmemory"))["maxmemory"]
    job = (await client.post("/v1/kernels", json=BODY)).json()
    try:
        await service.tiles_client.config_set("maxmemory", 1)
        await service.tiles_client.config_resetstat()
        async with working():
            async with asyncio.timeout(30):
                while True:
                    if await refusals(service) > 1:
                        break
                    await asyncio.sleep(0.02)
            await service.tiles_client.config_set("maxmemory", before)
            url = job["links"]["self"]
            ended = (await client.get(url, headers={"Prefer": "wait=30"})).json()
    finally:
        await service.tiles_client.config_set("maxmemory", before)
    assert ended["state"] == "succeeded"
    assert (await service.tallies.read()).tile_seconds[-1] == 1


async def refusals(service: Service) -> int:
    """How many writes the store of tiles has refused for want of room."""
    errors = await service.tiles_client.info("errorstats")
    return int(errors.get("errorstat_OOM", {}).get("count", 0))
