"""What a real socket shows and an in-process transport cannot: early answers and clients that vanish."""

import asyncio
import json
import logging
import re
import socket
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from service.access.exposure import listen

from .conftest import DENSE

HEAD = "POST /v1/kernels HTTP/1.1\r\nHost: gramd\r\nContent-Type: application/json\r\n"


async def answer_to(port: int, request: str, *, close: bool = False) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    await writer.drain()
    if close:
        writer.write_eof()
    data = await reader.read(65536)
    writer.close()
    await writer.wait_closed()
    return data.decode()


async def logged(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a log line holds `text`."""
    async with asyncio.timeout(30):
        while True:
            if text in caplog.text:
                return
            await asyncio.sleep(0.01)


def counts(app: FastAPI) -> str:
    """What has been counted of requests."""
    return generate_latest(app.state.requests.registry).decode()


def test_the_body_of_a_short_answer_does_not_wait_for_an_acknowledgement():
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(port):
    answer = await answer_to(port, HEAD + "Content-Length: 99999999999\r\n\r\n")
    assert answer.startswith("HTTP/1.1 413")
    assert '"limit_name": "max_json_bytes"' in answer


async def test_expect_100_continue_is_not_given_to_what_is_refused(port):
    announced = "Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
    answer = await answer_to(port, HEAD + announced)
    assert answer.startswith("HTTP/1.1 413")


@pytest.mark.parametrize(
    "sent",
    [
        "GET / HT\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n",
        "\0 nonsense\r\n\r\n",
        HEAD + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        HEAD + "Content-Length: -3\r\n\r\n",
        HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz?a b HTTP/1.1\r\nHost: gramd\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_a_problem_document_too(port, app, caplog, sent):
    caplog.set_level(logging.INFO, "gramd.access")
    head, _, body = (await answer_to(port, sent)).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n")
    document = json.loads(body)
    assert document["type"] == "urn:gramd:problem:malformed-request"
    assert f"X-Request-Id: {document['request_id']}" in head
    assert "Traceback" not in caplog.text
    assert f"'request_id': '{document['request_id']}'" in caplog.text
    assert "'status': 400" in caplog.text
    once = re.compile(r'gramd_http_requests_total\{.*status="400"\} 1\.0')
    async with asyncio.timeout(30):
        while not once.search(counts(app)):  # noqa: ASYNC110  (in another task's hands: no event)
            await asyncio.sleep(0.01)


async def test_a_request_with_a_bad_chunk_is_counted_once(port, app, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    await answer_to(port, HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    await logged("'path': '/v1/kernels'", caplog)
    assert len(re.findall(r"gramd_http_requests_total\{", counts(app))) == 1


async def test_an_upgrade_is_passed_over_without_a_word(port, caplog):
    for wanted in ("websocket", "h2c"):
        answer = await answer_to(
            port,
            "GET /healthz HTTP/1.1\r\nHost: gramd\r\nConnection: upgrade, close\r\n"
            f"Upgrade: {wanted}\r\n\r\n",
        )
        assert answer.startswith("HTTP/1.1 200")
    assert "pgrade" not in caplog.text


@pytest.mark.parametrize("target", ["http://gramd/v1/limits", "HTTPS://other:1/v1%2Flimits?"])
async def test_a_target_may_be_absolute(port, caplog, target):
    caplog.set_level(logging.INFO, "gramd.access")
    close = "Connection: close\r\n\r\n"
    answer = await answer_to(port, f"GET {target} HTTP/1.1\r\nHost: gramd\r\n{close}")
    assert answer.startswith("HTTP/1.1 200")
    assert "'path': '/v1" in caplog.text
    answer = await answer_to(port, f"GET http://gramd HTTP/1.1\r\nHost: gramd\r\n{close}")
    assert "text/html" in answer


async def test_head_gives_no_length_where_get_has_none(port, working):
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client, working():
        body = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
        job = (await client.post("/v1/kernels", json=body, headers={"Prefer": "wait=60"})).json()
        for path, kind in (("/nngp", "application/json"), ("/events", "text/event-stream")):
            wanted = job["links"]["self"] + path
            head = await client.head(wanted, headers={"Accept": kind})
            got = await client.get(wanted, headers={"Accept": kind})
            assert "content-length" not in head.headers
            assert {*head.headers} == {*got.headers}
        sized = await client.head(job["links"]["nngp"])
        assert int(sized.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_bad_chunk_behind_an_answer_ends_the_connection_quietly(port, caplog, method):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"{method} /none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 40")
    writer.write(b"zz\r\n")
    assert b"HTTP/1.1" not in await reader.read()
    writer.close()
    await writer.wait_closed()
    assert "Traceback" not in caplog.text


async def test_a_client_that_closes_in_mid_body_leaves_nothing(port, left_behind, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    await answer_to(port, HEAD + "Content-Length: 100\r\n\r\n{", close=True)
    await logged("'status': 400", caplog)
    assert await left_behind() == set()
    assert "Traceback" not in caplog.text


async def test_a_client_that_vanishes_in_mid_matrix_is_no_error(port, working, npy, caplog):
    x = np.random.default_rng(0).standard_normal((3000, 2)).astype("float32")
    form: dict[str, Any] = {"request": json.dumps({"architecture": DENSE, "outputs": ["nngp"]})}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        async with working():
            response = await client.post(
                "/v1/kernels", data=form, files={"x1": npy(x)}, headers={"Prefer": "wait=60"}
            )
        url = response.json()["links"]["nngp"]
        async with client.stream("GET", url) as stream:
            async for _ in stream.aiter_raw(1000):
                break
        caplog.set_level(logging.INFO, "gramd.access")
        await logged("/nngp", caplog)
        assert "Traceback" not in caplog.text
        whole = await client.get(url)
        assert len(whole.content) == int(whole.headers["content-length"]) == 128 + 4 * 3000**2


async def test_a_client_that_vanishes_is_no_longer_waited_for(port, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    body = json.dumps({"architecture": DENSE, "x1": [[1.0, 2.0]]})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # No worker is there: without a look at the connection the answer would take 60 s.
    head = HEAD + f"Prefer: wait=60\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        while not (await client.get("/v1/kernels")).json()["kernels"]:
            pass
    writer.close()
    await writer.wait_closed()
    await logged("'method': 'POST', 'path': '/v1/kernels', 'status': 202", caplog)
    del reader
