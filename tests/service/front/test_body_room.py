"""More bodies at once than memory holds: the ones too many are told to come again, the rest go on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from service.errors import StartError
from service.http.body_room import SMALL_BYTES, BodyRoom, expect, give_back, take
from service.http.problems import Busy
from service.settings import Settings

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
LARGE = SMALL_BYTES + 100_000


@pytest.fixture
def request_of() -> Callable[[str], Request]:
    """A request of a tenant to a process with room for 1,000 bytes beyond the small ones."""
    app = FastAPI()
    app.state.body_room = BodyRoom(1000)
    return lambda tenant: Request({"type": "http", "app": app, "state": {"tenant": tenant}})


def test_a_tenant_has_as_much_as_stays_free(request_of):
    first, second, other = request_of("a"), request_of("a"), request_of("b")
    take(first, SMALL_BYTES + 300)
    take(first, SMALL_BYTES + 500)
    for read in (take, expect):
        with pytest.raises(Busy):
            read(second, SMALL_BYTES + 1)
    # The other tenant is not kept out, nor would a third one be.
    take(other, SMALL_BYTES + 250)
    with pytest.raises(Busy):
        take(other, SMALL_BYTES + 251)
    expect(request_of("c"), SMALL_BYTES + 125)
    give_back(first)
    take(second, SMALL_BYTES + 375)
    for request in (second, other, other):
        give_back(request)
    assert not request_of("a").app.state.body_room.held


def test_what_is_small_always_gets_in(request_of):
    take(request_of("a"), SMALL_BYTES + 500)
    take(request_of("b"), SMALL_BYTES + 250)
    for tenant in "abc":
        small = request_of(tenant)
        expect(small, SMALL_BYTES)
        take(small, SMALL_BYTES)


def test_what_is_announced_and_does_not_come_keeps_nobody_out(request_of):
    for _ in range(100):
        expect(request_of("a"), SMALL_BYTES + 500)
    take(request_of("a"), SMALL_BYTES + 500)


def test_one_tenants_half_of_the_room_holds_a_body():
    whole = {"GRAMD_MAX_BODY_BYTES": "1000", "GRAMD_MAX_READING_BYTES": "2000"}
    assert Settings.from_env(whole).max_reading_bytes == 2000
    with pytest.raises(StartError, match="twice GRAMD_MAX_BODY_BYTES"):
        Settings.from_env(whole | {"GRAMD_MAX_READING_BYTES": "1999"})


async def test_bodies_too_many_are_503_and_what_is_read_goes_on(app, client, npy):
    content = npy(np.ones((1, LARGE // 8)))
    app.state.body_room.limit = 2 * len(content)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        """A body of unknown length, most of which has come."""
        yield content[:-1000]
        reading.set()
        await go_on.wait()
        yield content[-1000:]

    slow = asyncio.create_task(client.post("/v1/datasets", content=slowly()))
    await reading.wait()
    too_many = await client.post("/v1/datasets", content=npy(np.ones((2, LARGE // 8))))
    document = problem(too_many, 503)
    assert document["limit_name"] == "max_reading_bytes"
    assert document["actual"] > document["limit"]
    assert int(too_many.headers["retry-after"]) >= 1
    assert (await client.post("/v1/kernels", json=BODY)).status_code == 202
    go_on.set()
    assert (await slow).status_code == 201
    assert not app.state.body_room.held


async def test_one_who_waits_for_an_answer_holds_no_room(app, client, service, npy):
    files = {"x1": npy(np.ones((1, LARGE // 8)))}
    data = {"request": json.dumps({"architecture": DENSE})}
    waiting = asyncio.create_task(
        client.post("/v1/kernels", data=data, files=files, headers={"Prefer": "wait=60"})
    )
    async with asyncio.timeout(30):
        while not service.events.listening:  # noqa: ASYNC110  (in another task's hands: no event)
            await asyncio.sleep(0.01)
    assert not app.state.body_room.held
    job = (await client.get("/v1/kernels")).json()["kernels"][0]
    await client.patch(job["links"]["self"], json={"state": "cancelled"})
    assert (await waiting).json()["state"] == "cancelled"


async def test_refused_bodies_give_their_room_back(app, client):
    problem(await client.post("/v1/kernels", json={"architecture": "x" * LARGE}), 422)
    problem(await client.post("/v1/datasets", content=b"not an array" * LARGE), 422)
    assert not app.state.body_room.held
