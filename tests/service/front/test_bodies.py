"""How much is read, and what is said when it is too much, too little or too slow."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from service.app import create_app
from service.http import bodies

from .conftest import DENSE

LIMIT = 10_000


@pytest.fixture
async def small(settings) -> AsyncIterator[httpx.AsyncClient]:
    """The application with a body limit of LIMIT bytes."""
    application = create_app(replace(settings, max_body_bytes=LIMIT))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gramd") as client:
            yield client


async def in_chunks(total: int, size: int = 1000) -> AsyncIterator[bytes]:
    for _ in range(0, total, size):
        yield b" " * size


ENTRANCES = [
    ("POST", "/v1/kernels", "application/json"),
    ("POST", "/v1/kernels", "multipart/form-data; boundary=x"),
    ("POST", "/v1/datasets", "application/x-npy"),
    ("POST", "/v1/datasets", "multipart/form-data; boundary=x"),
    ("POST", "/v1/architectures", "application/json"),
    ("POST", "/v1/bounds", "application/json"),
    ("PATCH", "/v1/kernels/k0", "application/json"),
]


@pytest.mark.parametrize(("method", "path", "content_type"), ENTRANCES)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_the_limit_is_413_and_names_it(
    small, method, path, content_type, chunked
):
    preamble = b"--x\r\nContent-Disposition: form-data; name=x1\r\n\r\n"
    start = preamble if "multipart" in content_type else b""

    async def content() -> AsyncIterator[bytes]:
        yield start
        async for chunk in in_chunks(2 * LIMIT):
            yield chunk

    body = content() if chunked else start + b" " * (LIMIT + 1)
    if "multipart" in content_type and path == "/v1/datasets":
        body = b"--x\r\nContent-Disposition: form-data; name=x\r\n\r\n" + b" " * LIMIT
    response = await small.request(
        method, path, content=body, headers={"Content-Type": content_type}
    )
    document = response.json()
    assert response.status_code == 413, document
    assert (document["limit"], document["limit_name"]) == (LIMIT, "max_body_bytes")
    assert document["actual"] > LIMIT


@pytest.mark.parametrize("path", ["/v1/kernels", "/v1/architectures"])
async def test_large_json_is_413_and_says_how_to_send_arrays(client, path):
    content = b" " * (bodies.MAX_JSON_BYTES + 1)
    headers = {"Content-Type": "application/json"}
    response = await client.post(path, content=content, headers=headers)
    assert response.status_code == 413
    assert response.json()["limit_name"] == "max_json_bytes"
    assert ".npy" in response.json()["detail"]
    if path == "/v1/kernels":
        response = await client.post(path, files={"request": content})
        assert response.json()["limit_name"] == "max_json_bytes"


async def test_a_body_of_just_the_limit_is_read(small):
    response = await small.post(
        "/v1/kernels",
        content=b"{}" + b" " * (LIMIT - 2),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 422
    assert response.json()["pointer"] == "/architecture"


@pytest.mark.parametrize("announced", ["5", "1000"])
async def test_a_body_that_is_not_as_long_as_announced_is_400(client, announced):
    async def body() -> AsyncIterator[bytes]:
        yield b'{"architecture": {}}'

    headers = {"Content-Type": "application/json", "Content-Length": announced}
    response = await client.post("/v1/kernels", content=body(), headers=headers)
    assert response.status_code == 400
    assert "Content-Length" in response.json()["detail"]


async def test_a_body_that_stops_coming_is_408(client, monkeypatch):
    monkeypatch.setattr(bodies, "PAUSE_SECONDS", 0.05)
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"architecture"'
        await never.wait()

    headers = {"Content-Type": "application/json"}
    response = await client.post("/v1/kernels", content=body(), headers=headers)
    assert response.status_code == 408
    assert response.headers["content-type"] == "application/problem+json"


async def test_limits_on_rows_and_jobs_name_themselves(settings):
    application = create_app(replace(settings, max_rows=2, max_unfinished_jobs=1))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gramd") as client:
            body = {"architecture": DENSE, "x1": [[1.0], [2.0], [3.0]]}
            rows = await client.post("/v1/kernels", json=body)
            assert rows.status_code == 413
            assert (rows.json()["limit_name"], rows.json()["limit"]) == ("max_rows", 2)
            body["x1"] = [[1.0]]
            assert (await client.post("/v1/kernels", json=body)).status_code == 202
            body["x1"] = [[2.0]]
            jobs = await client.post("/v1/kernels", json=body)
            assert jobs.status_code == 429
            assert jobs.json()["limit_name"] == "max_unfinished_jobs"
            assert int(jobs.headers["retry-after"]) > 0


async def test_the_quota_of_inputs_is_507(settings, npy):
    application = create_app(replace(settings, max_input_bytes=100))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gramd") as client:
            response = await client.post("/v1/datasets", content=npy([[1.0] * 100]))
            assert response.status_code == 507
            assert response.json()["limit"] == 100


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Content-Encoding", ["identity", "gzip"]),
        ("Content-Type", ["application/json", "application/x-npy"]),
        ("Content-Type", ["application/json", "application/json"]),
    ],
)
async def test_a_header_that_comes_twice_is_looked_at_twice(client, name, values):
    headers = [("Content-Type", "application/json")] if name != "Content-Type" else []
    headers += [(name, value) for value in values]
    response = await client.post("/v1/architectures", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["parameter"] == name
