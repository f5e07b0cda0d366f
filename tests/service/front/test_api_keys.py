"""Who gets in: nobody without a valid key once there is one; and tenants do not see each other."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.errors import StartError
from service.settings import Settings
from service.state import Service

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0], [0.5, -1.0]]}
WAIT = {"Prefer": "wait=60"}

Headers = dict[str, str]
Key = Callable[..., Awaitable[Headers]]


@pytest.fixture
def key(service: Service) -> Key:
    """Make a key; the headers that send it."""

    async def make(tenant: str | None = None, **about: Any) -> Headers:
        text, _ = await service.api_keys.create(tenant, **about)
        return {"Authorization": f"Bearer {text}"}

    return make


async def test_only_a_valid_key_opens_once_there_is_one(
    client: httpx.AsyncClient, key: Key, service: Service
) -> None:
    assert (await client.get("/v1/kernels")).status_code == 200
    valid = await key()
    assert (await client.get("/v1/kernels", headers=valid)).status_code == 200
    told = problem(await client.get("/v1/kernels"), 401)
    assert "python -m service keys create" in told["detail"]
    text = valid["Authorization"].removeprefix("Bearer ")
    wrong = [f"Basic {text}", text, f"Bearer {text[:-1]}", f"Bearer {text}x", "Bearer ", "bearer é"]
    swapped = text[:-1] + ("A" if text[-1] != "A" else "B")
    for value in (*wrong, f"Bearer {swapped}", f"Bearer gramd_{'0' * 12}_{'A' * 43}"):
        answer = await client.get("/v1/kernels", headers={"Authorization": value.encode("latin-1")})
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith('Bearer realm="gramd", error=')
    twice = [("Authorization", valid["Authorization"])] * 2
    problem(await client.get("/v1/kernels", headers=twice), 401)
    assert (await client.get("/healthz")).status_code == 200
    problem(await client.get("/readyz"), 503)


async def test_every_route_below_v1_is_behind_the_gate(
    client: httpx.AsyncClient, app: FastAPI, key: Key
) -> None:
    await key()
    asked = 0
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            # What has a token in its path is opened by that.
            if not path.startswith("/v1/") or "{token}" in path:
                continue
            names = defaultdict(lambda: "0", output="nngp")
            answer = await client.request(method, path.format_map(names), content=b"{}")
            assert answer.status_code == 401, (method, path)
            assert operation["security"] == [{"key": []}, {}], (method, path)
            asked += 1
    assert asked >= 12


async def test_a_revoked_key_opens_nothing_from_the_next_request_on_in_any_process(
    client: httpx.AsyncClient, key: Key, service: Service, settings: Settings
) -> None:
    first, second = await key("lab"), await key("lab")
    other = create_app(settings)
    async with (
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://gramd") as beside,
    ):
        for asked in (client, beside):
            assert (await asked.get("/v1/limits", headers=first)).status_code == 200
        made = await service.api_keys.list()
        assert await service.api_keys.revoke(made[0].id)
        assert not await service.api_keys.revoke("nosuchkey")
        for asked in (client, beside):
            problem(await asked.get("/v1/limits", headers=first), 401)
            assert (await asked.get("/v1/limits", headers=second)).status_code == 200
        # With the last key gone the service does not fall open.
        assert await service.api_keys.revoke(made[1].id)
        for headers in (first, second, {}):
            problem(await beside.get("/v1/limits", headers=headers), 401)


async def test_without_keys_it_answers_only_where_that_is_allowed(settings: Settings) -> None:
    closed = create_app(settings, may_be_open=False)
    async with (
        closed.router.lifespan_context(closed),
        httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url="http://gramd") as asked,
    ):
        problem(await asked.get("/v1/layers"), 401)


async def test_a_key_for_metrics_reads_no_kernels(client: httpx.AsyncClient, key: Key) -> None:
    problem(await client.get("/v1/kernels", headers=await key(scope="metrics")), 403)


async def test_what_is_stored_is_no_key(service: Service) -> None:
    text, record = await service.api_keys.create("lab", name="a laptop")
    async for name in service.client.scan_iter("gramd:*"):
        if await service.client.type(name) == b"hash":
            for field, value in (await service.client.hgetall(name)).items():
                assert text[-43:].encode() not in field + value
    assert await service.api_keys.find(text) == record
    assert len({(await service.api_keys.create())[1].tenant for _ in range(3)}) == 3
    for tenant in ("a:b", "-a", "A", "x" * 41, "ä"):
        with pytest.raises(StartError, match="a tenant is"):
            await service.api_keys.create(tenant)
    with pytest.raises(StartError, match="a name is"):
        await service.api_keys.create(name="two\nlines")


async def test_tenants_share_nothing(
    client: httpx.AsyncClient, key: Key, working: Any, npy: Callable[[Any], bytes]
) -> None:
    ours, rotated, theirs = await key("lab"), await key("lab"), await key("other")
    x = npy(np.ones((2, 2), np.float32))
    dataset = (await client.post("/v1/datasets", content=x, headers=ours)).json()
    async with working():
        jobs = [
            (await client.post("/v1/kernels", json=BODY, headers=WAIT | headers)).json()
            for headers in (ours, theirs, rotated)
        ]
    # The same tiles: computed for each tenant, found by the same one, whichever key it uses.
    assert [job["receipt"]["tiles"]["reused"] for job in jobs] == [0, 0, 1]
    their_dataset = (await client.post("/v1/datasets", content=x, headers=theirs)).json()
    assert their_dataset["id"] != dataset["id"]
    mine = jobs[0]["links"]["self"]
    for headers, status in ((ours, 200), (rotated, 200), (theirs, 404)):
        answers = await asyncio.gather(
            client.get(mine, headers=headers),
            client.get(f"{mine}/nngp", headers=headers),
            client.get(dataset["links"]["self"], headers=headers),
        )
        assert [answer.status_code for answer in answers] == [status] * 3
    for method, path in (("PATCH", mine), ("DELETE", mine), ("DELETE", dataset["links"]["self"])):
        problem(
            await client.request(method, path, json={"state": "cancelled"}, headers=theirs), 404
        )
    used = BODY | {"x1": {"dataset": dataset["id"]}}
    problem(await client.post("/v1/kernels", json=used, headers=theirs), 422)
    asked = {"architecture": DENSE, "x_train": [[1.0]], "y_train": [0.5], "x_test": [[2.0]]}
    prediction = (await client.post("/v1/predictions", json=asked, headers=ours)).json()
    path = prediction["links"]["self"]
    problem(await client.get(path, headers=theirs), 404)
    problem(await client.get(prediction["links"]["mean"], headers=theirs), 404)
    problem(await client.get(jobs[0]["links"]["diagnostics"], headers=theirs), 404)
    problem(await client.delete(path, headers=theirs), 404)
    assert (await client.get("/v1/predictions", headers=theirs)).json()["predictions"] == []
    assert (await client.delete(path, headers=rotated)).status_code == 204
    lists = [
        {job["id"] for job in (await client.get("/v1/kernels", headers=headers)).json()["kernels"]}
        for headers in (ours, theirs, rotated)
    ]
    assert lists == [{jobs[0]["id"], jobs[2]["id"]}, {jobs[1]["id"]}, lists[0]]
