"""The HTTP front end. It never imports JAX: workers compute, this process reads, checks, stores and
streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kernels.errors import KernelError
from service.context import RequestContext
from service.errors import ServiceError
from service.openapi import describe_api
from service.problems import InvalidRequest, Problem, problem_response
from service.routes import (
    architectures,
    bounds,
    datasets,
    examinations,
    health,
    kernels,
    predicted,
    predictions,
    results,
    vocabulary,
)
from service.settings import Settings
from service.state import open_service


def create_app(settings: Settings) -> FastAPI:
    """The application; entering its lifespan opens the stores that `settings` name, leaving it
    closes them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with open_service(settings) as service:
            app.state.service = service
            yield

    # No /docs: FastAPI's page loads its script from a CDN. /openapi.json stays.
    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestContext)
    for error in (Problem, KernelError, ServiceError, RedisError, HTTPException, ClientDisconnect):
        app.add_exception_handler(error, _answer)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    for module in (
        health, vocabulary, architectures, datasets, kernels, examinations, results, predictions,
        predicted, bounds,
    ):  # fmt: skip
        app.include_router(module.router)
    describe_api(app)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    return problem_response(request, error)


async def _answer_validation(request: Request, error: Exception) -> Response:
    """FastAPI checks path and query parameters; bodies are read by service.bodies."""
    assert isinstance(error, RequestValidationError), "registered for this class alone"
    first = error.errors()[0]
    message: str = first["msg"]
    place, name = first["loc"][0], str(first["loc"][-1])
    if place == "path":
        return problem_response(request, HTTPException(404))
    problem = InvalidRequest(
        f"{message[0].lower()}{message[1:]}; got {str(first['input'])[:60]!r}", parameter=name
    )
    return problem_response(request, problem)
