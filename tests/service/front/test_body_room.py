"""More bodies at once than memory holds: the ones too many are told to come again, the rest go on."""

import asyncio
from collections.abc import AsyncIterator

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}


async def test_bodies_too_many_are_503_and_what_is_read_goes_on(app, client, npy):
    content = npy([[1.0] * 100])
    app.state.body_room.limit = 2 * len(content)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        """A body of unknown length, half of which has come."""
        yield content[:400]
        reading.set()
        await go_on.wait()
        yield content[400:]

    slow = asyncio.create_task(client.post("/v1/datasets", content=slowly()))
    await reading.wait()
    assert (await client.post("/v1/datasets", content=content)).status_code == 201
    too_many = await client.post("/v1/datasets", content=npy([[1.0] * 220]))
    document = problem(too_many, 503)
    assert document["limit_name"] == "max_reading_bytes"
    assert document["actual"] > document["limit"]
    assert int(too_many.headers["retry-after"]) >= 1
    go_on.set()
    assert (await slow).status_code == 201
    assert app.state.body_room.held == 0


async def test_one_who_waits_for_an_answer_holds_no_room(app, client, service):
    waiting = asyncio.create_task(
        client.post("/v1/kernels", json=BODY, headers={"Prefer": "wait=60"})
    )
    async with asyncio.timeout(30):
        while not service.events.listening:  # noqa: ASYNC110  (in another task's hands: no event)
            await asyncio.sleep(0.01)
    assert app.state.body_room.held == 0
    job = (await client.get("/v1/kernels")).json()["kernels"][0]
    await client.patch(job["links"]["self"], json={"state": "cancelled"})
    assert (await waiting).json()["state"] == "cancelled"


async def test_refused_bodies_give_their_room_back(app, client):
    problem(await client.post("/v1/kernels", json={"architecture": {}}), 422)
    problem(await client.post("/v1/datasets", content=b"not an array"), 422)
    assert app.state.body_room.held == 0
