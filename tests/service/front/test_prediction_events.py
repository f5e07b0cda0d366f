"""A prediction followed by Server-Sent Events: the tiles of all its kernels, then its own end."""

import asyncio

import pytest

from service.jobs.jobs import Jobs
from service.store import keys

from .conftest import problem
from .predicting import body, predicted
from .test_events import read, until


async def test_a_stream_counts_the_tiles_of_all_kernels_and_resumes(client, service, working):
    prediction = (await client.post("/v1/predictions", json=body(outputs=["variance"]))).json()
    assert (prediction["state"], prediction["tiles_done"], prediction["tiles_total"]) == (
        "queued", 0, 3,
    )  # fmt: skip
    url = prediction["links"]["events"]
    following = asyncio.create_task(client.get(url))
    await until(lambda: service.events.listening == 1)
    async with working():
        response = await following
    assert response.headers["content-type"] == "text/event-stream"
    assert read(response.text)[-1]["data"] == {
        "state": "succeeded", "tiles_done": 3, "tiles_total": 3,
    }  # fmt: skip
    # Everything that happened, whatever the reader was too slow for.
    events = read((await client.get(url, headers={"Last-Event-ID": "0-0"})).text)
    told = [event["data"] for event in events]
    assert told[0] == {"state": "queued", "tiles_done": 0, "tiles_total": 3}
    states = [event["state"] for event in told]
    assert states == ["queued", *["running"] * (len(told) - 2), "succeeded"]
    counts = [event["tiles_done"] for event in told]
    assert counts == sorted(counts)
    assert counts[-4:] == [2, 3, 3, 3], "the last tile, the task that solves, its end"
    assert [event["event"] for event in events] == [
        "state", "state", *["progress"] * (len(told) - 3), "state",
    ]  # fmt: skip
    resumed = read((await client.get(url, headers={"Last-Event-ID": events[2]["id"]})).text)
    assert resumed == events[3:]
    ended = await client.get(url, headers={"Last-Event-ID": events[-1]["id"]})
    assert (ended.status_code, ended.content) == (204, b"")


async def test_what_is_cached_already_is_told_at_once(client, working):
    async with working():
        first = await predicted(client, body())
        await client.delete(first["links"]["self"])
        second = await predicted(client, body(outputs=["mean", "variance"]))
        events = read((await client.get(second["links"]["events"])).text)
        assert [event["data"] for event in events] == [
            {"state": "succeeded", "tiles_done": 3, "tiles_total": 3}
        ]


async def test_a_kernel_that_began_before_the_prediction_stands_counts(
    client, service, monkeypatch
):
    create = Jobs.create

    async def begun(jobs, tenant, request, job_id=None):
        record = await create(jobs, tenant, request, job_id)
        for flight in await service.client.hkeys(keys.INFLIGHT):
            moment = record.created_at.timestamp()
            await service.dispatch._begin(args=[flight, moment, 60, 60])
        return record

    monkeypatch.setattr(Jobs, "create", begun)
    prediction = (await client.post("/v1/predictions", json=body())).json()
    assert prediction["state"] == "running"
    assert prediction["started_at"] is None


@pytest.mark.parametrize("what", ["kernel cancelled", "cancelled", "deleted"])
async def test_a_stream_ends_with_whatever_ends_the_prediction(client, service, what):
    prediction = (await client.post("/v1/predictions", json=body())).json()
    following = asyncio.create_task(client.get(prediction["links"]["events"]))
    await until(lambda: service.events.listening == 1)
    cancelled = {"state": "cancelled"}
    if what == "kernel cancelled":
        await client.patch(prediction["links"]["kernels.train"], json=cancelled)
    elif what == "cancelled":
        await client.patch(prediction["links"]["self"], json=cancelled)
    else:
        await client.delete(prediction["links"]["self"])
    last = read((await following).text)[-1]["data"]
    assert last["state"] == ("failed" if what == "kernel cancelled" else "cancelled")
    assert service.events.listening == 0
    # A kernel job that lives on tells nothing to what has ended.
    left = [name async for name in service.client.scan_iter("gramd:job:*:p*:events")]
    assert len(left) == (what != "deleted")


async def test_what_cannot_be_followed_is_said_at_once(client):
    problem(await client.get("/v1/predictions/p0/events"), 404)
    prediction = (await client.post("/v1/predictions", json=body())).json()
    url = prediction["links"]["events"]
    wrong = await client.get(url, headers={"Last-Event-ID": "yesterday"})
    assert problem(wrong, 422)["parameter"] == "Last-Event-ID"
    problem(await client.get(url, headers={"Accept": "application/json"}), 406)
    problem(await client.get(f"/v1/kernels/{prediction['id']}/events"), 404)
