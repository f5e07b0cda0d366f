"""One Idempotency-Key and one body make one resource, whatever happens on the way."""

import asyncio
import json
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from service.http import idempotency
from service.http.idempotency import Claim
from service.store import keys

from .conftest import DENSE, problem

BODY: dict[str, Any] = {"architecture": DENSE, "x1": [[1.0, 2.0], [3.0, 4.0]]}
KEY = {"Idempotency-Key": "5f0c8f6e-6d3b"}


async def count(client: Any) -> int:
    return len((await client.get("/v1/kernels")).json()["kernels"])


async def test_the_same_key_and_body_are_the_same_job(client, npy):
    first = await client.post("/v1/kernels", json=BODY, headers=KEY)
    # Spaces, the order of names and quotes around the key are no part of it.
    text = json.dumps(dict(reversed(BODY.items())), indent=3)
    headers = {"Idempotency-Key": '"5f0c8f6e-6d3b"', "Content-Type": "application/json"}
    again = await client.post("/v1/kernels", content=text, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    assert again.status_code == 202
    form: dict[str, Any] = {
        "data": {"request": json.dumps({"architecture": DENSE})},
        "files": {"x1": npy([[1.0, 2.0]])},
        "headers": {"Idempotency-Key": "a-form"},
    }
    posted = [(await client.post("/v1/kernels", **form)).json()["id"] for _ in range(2)]
    assert posted[0] == posted[1] != first.json()["id"]
    assert await count(client) == 2


async def test_another_body_or_route_is_refused(client):
    await client.post("/v1/kernels", json=BODY, headers=KEY)
    other = await client.post("/v1/kernels", json=BODY | {"outputs": ["ntk"]}, headers=KEY)
    assert problem(other, 422)["parameter"] == "Idempotency-Key"
    elsewhere = await client.post("/v1/datasets", json={"shape": [2, 2]}, headers=KEY)
    assert problem(elsewhere, 422)["parameter"] == "Idempotency-Key"
    assert await count(client) == 1


@pytest.mark.parametrize("key", ["", "a b", '"', "ä".encode(), "x" * 256])
async def test_what_is_no_key_is_refused(client, key):
    response = await client.post("/v1/kernels", json=BODY, headers={"Idempotency-Key": key})
    assert problem(response, 422)["parameter"] == "Idempotency-Key"


async def test_a_refused_request_does_not_use_up_its_key(client, left_behind):
    wrong = await client.post("/v1/kernels", json=BODY | {"x1": [[]]}, headers=KEY)
    problem(wrong, 422)
    assert await left_behind() == set()
    assert (await client.post("/v1/kernels", json=BODY, headers=KEY)).status_code == 202


async def test_a_key_counts_against_the_quota_of_its_tenant(client, service):
    async def booked() -> int:
        return int(await service.client.hget(keys.books("default"), "total") or 0)

    job = (await client.post("/v1/kernels", json=BODY, headers=KEY)).json()
    await client.delete(job["links"]["self"])
    assert await booked() == idempotency.KEY_BYTES
    [name] = await service.client.keys("gramd:idempotency:*")
    assert await service.client.memory_usage(name, 0) <= idempotency.KEY_BYTES
    # What is refused gives back what it took.
    other = {"Idempotency-Key": "another"}
    problem(await client.post("/v1/kernels", json=BODY | {"x1": [[]]}, headers=other), 422)
    assert await booked() == idempotency.KEY_BYTES
    sealed = await client.post("/v1/datasets", json={"shape": [2, 2]}, headers=other)
    assert sealed.status_code == 201
    service.idempotency._quota = await booked()
    refused = problem(
        await client.post("/v1/kernels", json=BODY, headers={"Idempotency-Key": "third"}), 507
    )
    assert refused["limit_name"] == "max_input_bytes"
    # A key that was taken is answered, whatever the quota.
    again = await client.post("/v1/datasets", json={"shape": [2, 2]}, headers=other)
    assert again.json()["id"] == sealed.json()["id"]
    # Keys of hours that are over fall off.
    hours = await service.client.zrangebyscore(keys.held("default"), "-inf", "+inf")
    [hour] = [name for name in hours if name.startswith(b"keys:")]
    await service.client.zadd(keys.held("default"), {hour: 1})
    third = await client.post(
        "/v1/kernels", json=BODY | {"x1": [[]]}, headers={"Idempotency-Key": "third"}
    )
    problem(third, 422)
    assert hour not in await service.client.zrange(keys.held("default"), 0, -1)


async def test_many_at_once_make_one_job(client):
    answers = await asyncio.gather(
        *(client.post("/v1/kernels", json=BODY, headers=KEY) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(client) == 1


async def test_a_deleted_job_is_gone_and_not_made_again(client):
    job = (await client.post("/v1/kernels", json=BODY, headers=KEY)).json()
    await client.delete(job["links"]["self"])
    problem(await client.post("/v1/kernels", json=BODY, headers=KEY), 410)


async def test_a_prediction_is_made_once_with_its_kernel_jobs(client, working):
    asked = {"architecture": DENSE, "x_train": [[1.0], [2.0]], "y_train": [0, 1], "x_test": [[3.0]]}
    first = (await client.post("/v1/predictions", json=asked, headers=KEY)).json()
    assert await count(client) == len(first["kernels"]) == 2
    async with working():
        again = await client.post(
            "/v1/predictions", json=asked, headers=KEY | {"Prefer": "wait=60"}
        )
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.json()["state"] == "succeeded"
    other = await client.post("/v1/predictions", json=asked | {"y_train": [1, 0]}, headers=KEY)
    assert problem(other, 422)["parameter"] == "Idempotency-Key"
    assert await count(client) == 2
    await client.delete(first["links"]["self"])
    problem(await client.post("/v1/predictions", json=asked, headers=KEY), 410)


async def test_an_open_dataset_is_opened_once(client):
    opened = [
        (await client.post("/v1/datasets", json={"shape": [2, 2]}, headers=KEY)).json()["id"]
        for _ in range(2)
    ]
    assert opened[0] == opened[1]
    other = await client.post("/v1/datasets", json={"shape": [3, 2]}, headers=KEY)
    problem(other, 422)


async def test_a_dataset_with_a_key_is_checked_against_it(client, npy):
    first = await client.post("/v1/datasets", content=npy([[1.0]]), headers=KEY)
    again = await client.post("/v1/datasets", content=npy([[1.0]]), headers=KEY)
    assert first.json()["id"] == again.json()["id"]
    problem(await client.post("/v1/datasets", content=npy([[2.0]]), headers=KEY), 422)


async def test_one_that_takes_too_long_is_409(client, service, monkeypatch):
    monkeypatch.setattr(idempotency, "PATIENCE", idempotency.CHECK)
    async with service.idempotency.once("default", "k", "f", "r"):
        with pytest.raises(idempotency.Conflict) as caught:
            async with service.idempotency.once("default", "k", "f", "r2"):
                pass
    assert caught.value.headers == {"Retry-After": "1"}
    async with service.idempotency.once("default", "k", "f", "r2") as claim:
        assert claim == Claim("r", replayed=True)
    # Another tenant's key of the same name is another key.
    async with service.idempotency.once("other", "k", "f2", "r3") as claim:
        assert claim == Claim("r3")


async def test_a_creator_that_dies_leaves_its_id_to_the_next(client, service, monkeypatch):
    """The store goes away after the job was written: the retry finds that job."""
    write, pump = service.records.write, service.dispatch.pump

    async def lost() -> None:
        raise RedisConnectionError("gone")

    monkeypatch.setattr(service.dispatch, "pump", lost)
    problem(await client.post("/v1/kernels", json=BODY, headers=KEY), 503)
    monkeypatch.setattr(service.dispatch, "pump", pump)
    assert (await client.post("/v1/kernels", json=BODY, headers=KEY)).status_code == 202
    assert await count(client) == 1

    async def never(*_: Any) -> None:
        raise RedisConnectionError("gone")

    other = {"Idempotency-Key": "other"}
    monkeypatch.setattr(service.records, "write", never)
    problem(await client.post("/v1/kernels", json=BODY, headers=other), 503)
    monkeypatch.setattr(service.records, "write", write)
    assert (await client.post("/v1/kernels", json=BODY, headers=other)).status_code == 202
    assert await count(client) == 2


@pytest.mark.parametrize("steps", range(3))
async def test_a_prediction_that_was_not_answered_is_made_anew_and_whole(
    client, service, monkeypatch, left_behind, steps
):
    """The store goes away behind the first kernel job that was written, the second, or all of it."""
    pump = service.dispatch.pump

    async def lost() -> None:
        nonlocal steps
        steps -= 1
        if steps < 0:
            raise RedisConnectionError("gone")
        await pump()

    monkeypatch.setattr(service.dispatch, "pump", lost)
    body = {"architecture": DENSE, "x_train": [[1.0]], "y_train": [1.0], "x_test": [[2.0]]}
    problem(await client.post("/v1/predictions", json=body, headers=KEY), 503)
    # Its id is kept for the retry, and there is no work to be done for nobody.
    kept = {name.split(b":")[1] for name in await left_behind()}
    assert kept <= {b"secret", b"turn", b"tallies", b"inflight", b"held", b"books", b"idempotency"}
    assert set(await service.client.hkeys(keys.books("default"))) <= await hours(service)
    monkeypatch.setattr(service.dispatch, "pump", pump)
    again = await client.post("/v1/predictions", json=body, headers=KEY)
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert len((await client.get("/v1/predictions")).json()["predictions"]) == 1
    assert await count(client) == 2


async def hours(service: Any) -> set[bytes]:
    """What is booked for keys, and the sum of it."""
    names = await service.client.zrange(keys.held("default"), 0, -1)
    return {b"total", *(name for name in names if name.startswith(b"keys:"))}
