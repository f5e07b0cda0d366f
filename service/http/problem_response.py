"""Any error at all, as the response that says so."""

from __future__ import annotations

import http
import json
import math
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kernels.errors import KernelError
from service.errors import OverLimit, PartsMissing, ResultStoreAway, TilesMissing, TooMany
from service.http.allowed_methods import allowed_methods
from service.http.problems import (
    MEDIA_TYPE,
    MalformedRequest,
    MethodNotAllowed,
    Problem,
    UnknownResource,
    kind_of,
)
from service.logs import get_logger
from service.store.connection import cannot_write

log = get_logger(__name__)


def problem_response(request: Request, error: Exception) -> Response:
    """The problem document of any error at all, as a response."""
    if isinstance(error, HTTPException):
        error = _of_framework(request, error)
    if isinstance(error, ClientDisconnect):
        error = MalformedRequest("the connection was closed before the whole body came")
    kind = kind_of(error)
    headers, members, detail = dict[str, str](), dict[str, Any](), str(error)
    if isinstance(error, Problem):
        headers, members = error.headers, error.members
    elif isinstance(error, KernelError):
        detail, members = error.detail, {"pointer": error.pointer}
    elif isinstance(error, OverLimit):
        members = {"limit": error.value, "actual": error.actual, "limit_name": error.limit}
        if isinstance(error, TooMany):
            headers = {"Retry-After": str(math.ceil(error.retry_after))}
    elif isinstance(error, PartsMissing):
        members = {"missing": error.parts[:100], "actual": len(error.parts)}
    elif isinstance(error, TilesMissing):
        headers = {"Retry-After": str(max(1, error.retry_after))}
    elif isinstance(error, (RedisError, ResultStoreAway)):
        # What a store says may hold an address; the log has it.
        log.warning("a store cannot be used", reason=str(error))
        headers, detail = {"Retry-After": "2"}, _of_store(error)
    elif kind.status == 500:
        # The message of an unforeseen error may hold what a client must not see; the log has it.
        detail = "an unexpected error; the log holds it under this request id"
    request_id = request.scope.get("state", {}).get("request_id")
    document = kind.document(detail, **members, request_id=request_id)
    # ASCII, because a detail may quote a lone surrogate, which UTF-8 cannot hold.
    return Response(json.dumps(document).encode("ascii"), kind.status, headers, MEDIA_TYPE)


def not_allowed(request: Request, allowed: list[str]) -> MethodNotAllowed:
    """What is answered to a method that a path does not know, with those that it does."""
    return MethodNotAllowed(
        f"{request.method} is not known here; known: {', '.join(allowed)}",
        headers={"Allow": ", ".join(allowed)},
    )


def _of_store(error: RedisError | ResultStoreAway) -> str:
    """What a client may know of why a store cannot be used."""
    if cannot_write(error):
        return "the store cannot write to its disk; an operator has to make room there"
    if isinstance(error, OutOfMemoryError):
        return "the store is full; delete jobs or datasets, or try again when some have expired"
    return "the store does not answer; try again soon"


def _of_framework(request: Request, error: HTTPException) -> Exception:
    """Our error for one that Starlette or FastAPI raised by themselves."""
    if error.status_code == 404:
        return UnknownResource(
            "there is nothing at this path; the paths are listed in /openapi.json"
        )
    if error.status_code == 405:
        return not_allowed(request, allowed_methods(request))
    if error.status_code < 500:
        phrase = http.HTTPStatus(error.status_code).phrase
        return MalformedRequest(f"{phrase}: {error.detail}")
    return error
