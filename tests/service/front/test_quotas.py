"""Requests that come too fast, too many answers at once, too many jobs: 429, each tenant for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from service.access.quotas import Quotas
from service.app import create_app
from service.errors import OverLimit
from service.settings import Settings
from service.store import keys
from service.store.connection import CONNECTIONS
from service.worker.worker import compute
from tests.service.workers import live_worker

from .conftest import DENSE, problem


@asynccontextmanager
async def limited(settings: Settings, **limits: int) -> AsyncIterator[Any]:
    """A client of an application with these limits; beside it, its open service."""
    app = create_app(replace(settings, **limits))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gramd") as client,
    ):
        client.service = app.state.service
        yield client


async def test_requests_that_come_too_fast_are_told_when_to_come_back(settings: Settings) -> None:
    async with limited(settings, max_requests_per_s=1, max_request_burst=4) as client:
        answers = [await client.get("/v1/kernels") for _ in range(9)]
        statuses = [answer.status_code for answer in answers]
        # A token or two may come back while they are made, but never five.
        assert statuses[:4] == [200] * 4
        refused = next(answer for answer in answers if answer.status_code == 429)
        told = problem(refused, 429)
        assert (told["limit_name"], told["limit"]) == ("max_requests_per_s", 1)
        assert told["actual"] > told["limit"]
        assert refused.headers["retry-after"] == "1"
        # Other tenants have buckets of their own, and health is nobody's.
        service = client.service
        await service.quotas.request("other")
        assert (await client.get("/healthz")).status_code == 200
        # A bucket that is full again is forgotten.
        assert 0 < await service.client.pttl(keys.bucket("default")) <= 5000


async def service_refuses(quotas: Quotas) -> bool:
    try:
        await quotas.request("lab")
    except OverLimit:
        return True
    return False


async def test_tokens_come_back(settings: Settings) -> None:
    async with limited(settings, max_requests_per_s=50, max_request_burst=1) as client:
        quotas = client.service.quotas

        refused = 0
        async with asyncio.timeout(30):
            for _ in range(3):
                await quotas.request("lab")
                # All of them are awaited: one that came late would take the token of the next round.
                calls = (quotas.request("lab") for _ in range(20))
                answers = await asyncio.gather(*calls, return_exceptions=True)
                refusals = [answer for answer in answers if isinstance(answer, OverLimit)]
                assert refusals
                assert all(0 < each.retry_after <= 0.02 for each in refusals)
                refused += 1
                while await service_refuses(quotas):
                    pass
                await client.service.client.delete(keys.bucket("lab"))
        assert refused == 3


async def test_places_are_counted_given_back_and_outlive_no_process(settings: Settings) -> None:
    async with limited(settings, max_open_requests=2) as client, AsyncExitStack() as held:
        service = client.service
        for _ in range(2):
            await held.enter_async_context(service.quotas.place("default"))
        refused = await client.get("/v1/kernels/k0", headers={"Prefer": "wait=5"})
        told = problem(refused, 429)
        assert (told["limit_name"], told["limit"], told["actual"]) == ("max_open_requests", 2, 3)
        body = {"architecture": DENSE, "x1": [[1.0]]}
        answer = await client.post("/v1/kernels", json=body, headers={"Prefer": "wait=5"})
        problem(answer, 429)
        assert (await client.get("/v1/kernels")).json()["kernels"] == []
        problem(await client.get("/v1/kernels/k0/nngp"), 429)
        # Without waiting there is room, and other tenants have their own.
        problem(await client.get("/v1/kernels/k0"), 404)
        async with service.quotas.place("other"):
            pass
        assert 0 < await service.client.pttl(keys.places("default")) <= 30_000
        await held.aclose()
        problem(await client.get("/v1/kernels/k0", headers={"Prefer": "wait=5"}), 404)
        # What a dead process held is no longer counted once its time is over.
        dead = dict.fromkeys(("a", "b"), 1.0)
        await service.client.zadd(keys.places("default"), dead)
        async with service.quotas.place("default"):
            assert await service.client.zcard(keys.places("default")) == 1


async def test_a_stream_holds_its_place_until_its_end(
    client: httpx.AsyncClient, service: Any, working: Any, npy: Callable[[Any], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    body = {"architecture": DENSE, "x1": np.ones((3, 2)).tolist()}
    async with working():
        made = await client.post("/v1/kernels", json=body, headers={"Prefer": "wait=60"})
    seen: list[int] = []
    read = type(service.tiles).read_many

    async def counting(*arguments: Any) -> Any:
        seen.append(await service.client.zcard(keys.places("default")))
        return await read(*arguments)

    monkeypatch.setattr(type(service.tiles), "read_many", counting)
    assert (await client.get(made.json()["links"]["nngp"])).status_code == 200
    assert seen == [1]
    assert await service.client.zcard(keys.places("default")) == 0


async def test_readers_of_zarr_count_for_the_tenant_that_made_their_token(
    settings: Settings,
) -> None:
    body = {"architecture": DENSE, "x1": np.ones((3, 2)).tolist()}
    async with limited(
        settings, max_open_requests=1, max_requests_per_s=1, max_request_burst=6
    ) as client:
        async with live_worker(client.service, compute):
            made = await client.post("/v1/kernels", json=body)
            await client.service.jobs.wait("default", made.json()["id"], 60)
        token = (await client.post(made.json()["links"]["self"] + "/zarr")).headers["location"]
        chunk = token + "/nngp/c/0/0"
        async with client.service.quotas.place("default"):
            assert problem(await client.get(chunk), 429)["limit_name"] == "max_open_requests"
        answers = [await client.get(chunk) for _ in range(9)]
        assert answers[0].status_code == 200, answers[0].text
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert problem(refused, 429)["limit_name"] == "max_requests_per_s"
        assert await client.service.client.zcard(keys.places("default")) == 0


async def test_unfinished_jobs_are_counted_for_each_tenant(settings: Settings) -> None:
    async with limited(settings, max_unfinished_jobs=1) as client:
        body = {"architecture": DENSE, "x1": [[1.0]]}
        assert (await client.post("/v1/kernels", json=body)).status_code == 202
        assert problem(await client.post("/v1/kernels", json=body), 429)["actual"] == 2
        key, _ = await client.service.api_keys.create()
        theirs = {"Authorization": f"Bearer {key}"}
        assert (await client.post("/v1/kernels", json=body, headers=theirs)).status_code == 202
        problem(await client.post("/v1/kernels", json=body, headers=theirs), 429)


async def test_the_limits_are_listed(client: httpx.AsyncClient, settings: Settings) -> None:
    limits = (await client.get("/v1/limits")).json()["limits"]
    for name in ("max_requests_per_s", "max_request_burst", "max_open_requests"):
        assert limits[name] == getattr(settings, name)


async def test_hundreds_at_once_wait_for_a_connection_to_the_store(client: Any) -> None:
    answers = await asyncio.gather(*(client.get("/v1/kernels") for _ in range(4 * CONNECTIONS)))
    assert {answer.status_code for answer in answers} == {200}
