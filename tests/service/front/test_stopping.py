"""A server that is told to end answers everyone who waits, and cuts off nobody who can be answered."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

import gramd
from service.access.exposure import listen
from service.http.presence import while_serving
from service.http.protocol import Server, server_config
from service.routes import events

from .conftest import DENSE

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
# More than a busy machine needs for an answer, and less than anybody here asks to wait.
AT_ONCE_S = 20.0
HEAD = "POST /v1/kernels HTTP/1.1\r\nHost: gramd\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def serving(
    app: FastAPI, patience_s: int, port: int = 0
) -> AsyncIterator[tuple[Server, int]]:
    """A server that gives answers so long when it is told to end, and its port."""
    config = server_config(app, lifespan="off", timeout_graceful_shutdown=patience_s)
    app.state.stopping.clear()
    server = Server(config, app.state.stopping)
    with listen("127.0.0.1", port) as listener:
        port = listener.getsockname()[1]
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield server, port
        finally:
            server.should_exit = True
            await running


def http(port: int) -> httpx.AsyncClient:
    """A client of that server."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")


async def under_way(app: FastAPI, count: int) -> None:
    """Wait until so many requests are being answered."""
    registry = app.state.requests.registry
    await until(lambda: registry.get_sample_value("gramd_http_requests_open") == count)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(AT_ONCE_S):
        while not condition():  # noqa: ASYNC110  (in another task's hands: no event)
            await asyncio.sleep(0.01)


async def test_whoever_waits_is_answered_at_once(app, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    wait = {"Prefer": "wait=60"}
    async with serving(app, 60) as (server, port), http(port) as client:
        job = (await client.post("/v1/kernels", json=BODY)).json()
        here = job["links"]["self"]
        asking = [
            asyncio.create_task(client.get(here, headers=wait, timeout=AT_ONCE_S)),
            asyncio.create_task(
                client.post("/v1/kernels", json=BODY, headers=wait, timeout=AT_ONCE_S)
            ),
            asyncio.create_task(client.get(here + "/events", timeout=AT_ONCE_S)),
        ]
        await under_way(app, 3)
        server.should_exit = True
        polled, posted, followed = await asyncio.gather(*asking)
    assert (polled.status_code, polled.json()["state"]) == (200, "queued")
    assert (posted.status_code, posted.json()["state"]) == (202, "queued")
    assert '"state": "queued"' in followed.text
    assert "Traceback" not in caplog.text
    assert "'status': 0" not in caplog.text


async def test_what_cannot_be_answered_in_time_is_refused_for_now(app, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    async with serving(app, 1) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((HEAD + 'Content-Length: 100\r\n\r\n{"').encode())
        await under_way(app, 1)
        server.should_exit = True
        head, _, body = (await reader.read(65536)).decode().partition("\r\n\r\n")
        writer.close()
    assert head.startswith("HTTP/1.1 503")
    assert "retry-after: 2" in head.lower()
    document = json.loads(body)
    assert document["type"] == "urn:gramd:problem:not-ready"
    assert f"x-request-id: {document['request_id']}" in head.lower()
    assert "Traceback" not in caplog.text
    assert "'status': 503" in caplog.text


async def test_an_answer_that_has_begun_is_cut_off_and_no_trace_of_ours(app, caplog, monkeypatch):
    async def endless(*arguments: object) -> AsyncIterator[bytes]:
        while True:
            yield b": more\n\n"
            await asyncio.sleep(0.01)

    monkeypatch.setattr(events, "_stream", endless)
    async with serving(app, 1) as (server, port), http(port) as client:
        job = (await client.post("/v1/kernels", json=BODY)).json()
        async with client.stream("GET", job["links"]["self"] + "/events") as stream:
            server.should_exit = True
            with pytest.raises(httpx.RemoteProtocolError):
                await stream.aread()
    assert "Traceback" not in caplog.text


async def test_the_client_goes_on_with_the_next_server(app, service, working):
    async with serving(app, 60) as (server, port):
        client = gramd.AsyncClient(f"http://127.0.0.1:{port}")
        asking = asyncio.create_task(client.kernel(DENSE, [[1.0, 2.0]]))
        await until(lambda: service.events.listening == 1)
        server.should_exit = True
    async with serving(app, 60, port), working():
        kernel = await asking
    assert kernel.nngp.shape == (1, 1)
    await client.close()


async def test_what_misses_a_cancellation_is_cancelled_again(app):
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    app.state.stopping.set()
    async with asyncio.timeout(AT_ONCE_S):
        assert await while_serving(Request({"type": "http", "app": app}), stubborn()) is None
