"""The HTTP front end. It never imports JAX: workers compute, this process reads, checks, stores and
streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kernels.errors import KernelError
from kernels.spec.pointers import describe
from service import tracing
from service.access.gate import Gate
from service.context import RequestContext
from service.contract.openapi import describe_api
from service.errors import ServiceError
from service.http.allowed_methods import allowed_methods
from service.http.body_room import BodyRoom
from service.http.problem_response import not_allowed, problem_response
from service.http.problems import InvalidRequest, Problem, UnknownResource
from service.metrics import RequestMetrics
from service.routes import (
    architectures,
    bounds,
    datasets,
    estimates,
    events,
    examinations,
    extensions,
    health,
    kernels,
    metrics,
    networks,
    predicted,
    predictions,
    results,
    vocabulary,
    web,
    zarr,
)
from service.routes.dependencies import tenant_of
from service.settings import Settings
from service.state import open_service


def create_app(settings: Settings, *, may_be_open: bool = True) -> FastAPI:
    """The application; entering its lifespan opens the stores that `settings` name, leaving it
    closes them. `may_be_open`: whether it answers without a key while no key was ever made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        with tracing.exporting("api"):
            async with open_service(settings) as service:
                app.state.service = service
                app.state.gate = Gate(service.api_keys, may_be_open=may_be_open)
                yield

    # No /docs: FastAPI's page loads its script from a CDN. /openapi.json stays.
    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.requests = RequestMetrics()
    app.state.stopping = asyncio.Event()
    app.add_middleware(RequestContext, metrics=app.state.requests, stopping=app.state.stopping)
    app.state.body_room = BodyRoom(settings.max_reading_bytes)
    for error in (Problem, KernelError, ServiceError, RedisError, HTTPException, ClientDisconnect):
        app.add_exception_handler(error, _respond)
    app.add_exception_handler(RequestValidationError, _respond_to_invalid)
    for module in (health, metrics, web, zarr):  # open, or they say themselves who may ask
        app.include_router(module.router)
    # Whatever is added here is behind the gate, whether or not its handlers ask for the tenant.
    for module in (
        vocabulary, architectures, datasets, estimates, kernels, extensions, events, examinations,
        networks, results, predictions, predicted, bounds,
    ):  # fmt: skip
        app.include_router(module.router, dependencies=[Depends(tenant_of)])
    describe_api(app)
    return app


async def _respond(request: Request, error: Exception) -> Response:
    return problem_response(request, error)


async def _respond_to_invalid(request: Request, error: Exception) -> Response:
    """FastAPI checks path and query parameters; bodies are checked by service.requests."""
    assert isinstance(error, RequestValidationError), "registered for this class alone"
    first = error.errors()[0]
    place, name = first["loc"][0], str(first["loc"][-1])
    if place == "path":
        known = first.get("ctx", {}).get("expected")
        if known is None:
            return problem_response(request, HTTPException(404))
        # Such words are of routes of GET alone; /zarr, which is none of them, has a route of POST.
        others = [name for name in allowed_methods(request) if name not in ("GET", "HEAD")]
        if others:
            return problem_response(request, not_allowed(request, others))
        got = str(first["input"])[:60]
        return problem_response(request, UnknownResource(f"expected {known} here, got {got!r}"))
    return problem_response(request, InvalidRequest(describe(first), parameter=name))
