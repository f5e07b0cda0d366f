"""A job followed by Server-Sent Events: from where it is, or from the last event seen, to its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from service.routes import events

from .conftest import DENSE, problem

X = np.random.default_rng(0).standard_normal((5, 3))
BODY: dict[str, Any] = {"architecture": DENSE, "x1": X.tolist(), "dtype": "float64"}


def read(text: str) -> list[dict[str, Any]]:
    """The events of a stream, comments left out."""
    found: list[dict[str, Any]] = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            found.append(fields | {"data": json.loads(fields["data"])})
    return found


@pytest.fixture
async def live(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server, since an in-process transport hands over whole bodies only."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (in another task's hands: no event)
            await asyncio.sleep(0.01)


async def test_a_stream_goes_from_queued_to_the_end_and_resumes(client, service, working):
    job = (await client.post("/v1/kernels", json=BODY)).json()
    url = job["links"]["self"] + "/events"
    following = asyncio.create_task(client.get(url))
    await until(lambda: service.events.listening == 1)
    async with working():
        response = await following
    assert response.headers["content-type"] == "text/event-stream"
    seen = read(response.text)
    assert seen[0]["data"] == {"state": "queued", "tiles_done": 0, "tiles_total": 1}
    assert seen[-1]["data"] == {"state": "succeeded", "tiles_done": 1, "tiles_total": 1}
    assert {event["event"] for event in seen} == {"state"}
    assert service.events.listening == 0
    # What came after the first event, whole, whatever the first reader was too slow for.
    resumed = read((await client.get(url, headers={"Last-Event-ID": seen[0]["id"]})).text)
    assert [event["data"]["state"] for event in resumed] == ["running", "succeeded"]
    ended = await client.get(url, headers={"Last-Event-ID": seen[-1]["id"]})
    assert (ended.status_code, ended.content) == (204, b"")
    assert [event["data"]["state"] for event in read((await client.get(url)).text)] == ["succeeded"]
    assert (await client.head(url)).headers["content-type"] == "text/event-stream"


async def test_what_cannot_be_followed_is_said_at_once(client):
    problem(await client.get("/v1/kernels/k0/events"), 404)
    job = (await client.post("/v1/kernels", json=BODY)).json()
    url = job["links"]["self"] + "/events"
    wrong = await client.get(url, headers={"Last-Event-ID": "yesterday"})
    assert problem(wrong, 422)["parameter"] == "Last-Event-ID"
    problem(await client.get(url, headers={"Accept": "application/json"}), 406)


async def test_many_listeners_share_one_connection_and_leave_nothing(live, service, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT", events.PACE / 10)
    job = (await live.post("/v1/kernels", json=BODY)).json()
    path = f"/v1/kernels/{job['id']}"

    async def follow(after: str) -> list[dict[str, Any]]:
        """Read until the stream ends, or go away after a heartbeat."""
        text = ""
        async with live.stream("GET", path + "/events") as stream:
            async for chunk in stream.aiter_text():
                text += chunk
                if after in text:
                    break
        return read(text)

    leaving = [asyncio.create_task(follow("the job goes on")) for _ in range(20)]
    staying = [asyncio.create_task(follow("nothing")) for _ in range(20)]
    await asyncio.gather(*leaving)
    await until(lambda: service.events.listening == 20)
    subscribers = dict(await service.client.pubsub_numsub("gramd:announced"))
    assert list(subscribers.values()) == [1]
    await live.patch(path, json={"state": "cancelled"})
    for seen in await asyncio.gather(*staying):
        assert [event["data"]["state"] for event in seen] == ["queued", "cancelled"]
    await until(lambda: service.events.listening == 0)


async def test_a_deleted_job_ends_its_streams(live, service):
    job = (await live.post("/v1/kernels", json=BODY)).json()
    following = asyncio.create_task(live.get(job["links"]["self"] + "/events"))
    await until(lambda: service.events.listening == 1)
    await live.delete(job["links"]["self"])
    assert read((await following).text)[-1]["data"]["state"] == "cancelled"


async def test_a_lost_subscription_is_made_up_for(live, service, working):
    """Whoever listens while the connection to the store breaks still hears the end."""
    job = (await live.post("/v1/kernels", json=BODY)).json()
    following = asyncio.create_task(live.get(job["links"]["self"] + "/events"))
    await until(lambda: service.events.listening == 1)
    killed = await service.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert killed == 1
    async with working():
        assert read((await following).text)[-1]["data"]["state"] == "succeeded"
