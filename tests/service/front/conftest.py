"""The real application on real stores, and a real worker of real kernels in the same process."""

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.http.protocol import Server, server_config
from service.settings import Settings
from service.state import Service
from service.worker.tiler import Tiler
from service.worker.worker import compute
from tests.service.workers import live_worker

PATIENCE_S = 60.0

DENSE: dict[str, Any] = {
    "layers": [{"type": "dense", "w_std": 1.5, "b_std": 0.1}, {"type": "relu"}, {"type": "dense"}]
}
ATTENTION: dict[str, Any] = {
    "layers": [
        {"type": "dense"},
        {"type": "relu"},
        {"type": "attention"},
        {"type": "global_avg_pool"},
        {"type": "dense"},
    ]
}


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a response, which must be a whole one with this status."""
    document = response.json()
    assert response.status_code == status, document
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert {"type", "title", "detail"} <= set(document)
    return document


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, open on the stores of this test."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def service(app: FastAPI) -> Service:
    """What the application has open."""
    return app.state.service


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to the application; an exception that reaches the server would be raised in the test."""
    document = app.openapi()

    async def check(response: httpx.Response) -> None:
        """Whatever a test does, the answer is one that openapi.yaml describes."""
        operation = described(document, response.request)
        if operation is not None:
            answer = operation["responses"][str(response.status_code)]
            if "$ref" in answer:
                answer = document["components"]["responses"][answer["$ref"].split("/")[-1]]
            given = response.headers.get("content-type")
            assert given in answer.get("content", {None: {}}), (given, response.status_code)
            for name in ("location", "retry-after", "allow", "preference-applied"):
                if name in response.headers:
                    assert name in {header.lower() for header in answer["headers"]}, name

    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    hooks = {"response": [check]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gramd", event_hooks=hooks
    ) as opened:
        yield opened


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    """The port of a real server of the application, whose lifespan the fixture `app` has opened."""
    config = server_config(app, lifespan="off")
    server = Server(config, app.state.stopping)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def described(document: dict[str, Any], request: httpx.Request) -> dict[str, Any] | None:
    """The operation of a request, if its path and method are described."""
    for path, operations in document["paths"].items():
        pattern = re.sub(r"\\\{output\\\}", "(nngp|ntk)(_stderr)?", re.escape(path))
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", pattern)
        if re.fullmatch(pattern, request.url.raw_path.decode().partition("?")[0]):
            return operations.get(request.method.lower().replace("head", "get"))
    return None


WorkerAtWork = Callable[[], AbstractAsyncContextManager[Tiler]]


@pytest.fixture
def working(service: Service) -> WorkerAtWork:
    """`async with working():` a worker takes tiles off the queue and computes them."""

    return partial(live_worker, service, compute)


@pytest.fixture
def npy() -> Callable[[Any], bytes]:
    """The bytes that numpy.save writes."""

    def save(array: Any) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array))
        return buffer.getvalue()

    return save


@pytest.fixture
async def left_behind(service: Service) -> Callable[[], Any]:
    """The names in both stores that a refused request must not have made; that it came is counted."""

    async def names() -> set[bytes]:
        found: set[bytes] = set()
        for store in (service.client, service.tiles_client):
            found |= {name async for name in store.scan_iter("gramd:*")}
        return {name for name in found if not name.startswith(b"gramd:bucket:")}

    return names
