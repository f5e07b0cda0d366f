"""Around every request: HEAD, its id, its log line, and the document for an error that nothing else
caught."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from service import tracing
from service.http.body_room import give_back
from service.http.problem_response import problem_response
from service.http.problems import NotReady
from service.logs import get_logger
from service.metrics import RequestMetrics

log = get_logger("gramd.api")
access = get_logger("gramd.access")

# What may be taken over from a client into log lines and headers.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")
# Whatever else a client sends as a method is counted under one name, or each would be a series for ever.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Of a method, in a log line.
_METHOD_CHARACTERS = 16
# As long as a token or longer, wherever it stands: a slash before it may be escaped or be two.
_TOKEN = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-Fa-f]{2}){43,}")
# The absolute form of a request's target, which any server must take (RFC 9112, section 3.2.2).
_AUTHORITY = re.compile(rb"https?://[^/]*", re.IGNORECASE)
# What comes after it opens a job's arrays to anyone (service.access.path_tokens). Letters may be escaped.
_ZARR_TOKEN = re.compile(r"(/(?:z|%7a)(?:a|%61)(?:r|%72){2}/)[^/?]+", re.IGNORECASE)


class RequestContext:
    """ASGI middleware: `scope["state"]["request_id"]`, X-Request-Id on every response, one access
    line each."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, stopping: asyncio.Event) -> None:
        self._app = app
        self._metrics = metrics
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        _strip_authority(scope)
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        method: str = scope["method"]
        counted = method if method in METHODS else "other"
        if method == "HEAD":
            # Routes know GET; what is the same but for its body is done here, once for all.
            scope["method"] = "GET"
            scope["state"]["head"] = True
        began = time.perf_counter()
        self._metrics.began()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            elif method == "HEAD":
                message = {"type": message["type"], "body": b""}
            await send(message)

        with tracing.request_span(counted, Headers(scope=scope).get("traceparent", "")) as span:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                log.exception("request failed", path=_path(scope))
                if status:
                    # Headers are out: only a broken connection can still say that the body is not
                    # whole.
                    raise
                await problem_response(Request(scope), error)(scope, receive, send_with_id)
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                # Its time is up (service.http.protocol). Of an answer that has begun the server closes
                # the connection.
                if not status:
                    late = NotReady("the service is stopping", headers={"Retry-After": "2"})
                    await problem_response(Request(scope), late)(scope, receive, send_with_id)
            finally:
                give_back(Request(scope))
                seconds = time.perf_counter() - began
                ms = round(1e3 * seconds, 1)
                shown = method[:_METHOD_CHARACTERS]
                access.info("request", method=shown, path=_path(scope), status=status, ms=ms)
                self._metrics.ended(counted, _route(scope), status, seconds)
                tracing.describe_request(span, counted, _route(scope), status, request_id)


def _route(scope: Scope) -> str:
    """The template of the route that answers, "none" where there is no such path."""
    return getattr(scope.get("route"), "path", "none")


def _path(scope: Scope) -> str:
    """The path as it came over the wire, percent-encoded, so that it cannot forge a log line, and
    without the token that may stand in it."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
    text = raw.decode("ascii", "backslashreplace").replace("\n", "").replace("\r", "")
    return _TOKEN.sub("(token)", _ZARR_TOKEN.sub(r"\1(token)", text))


def _strip_authority(scope: Scope) -> None:
    raw: bytes = scope.get("raw_path") or b""
    if absolute := _AUTHORITY.match(raw):
        scope["raw_path"] = raw[absolute.end() :] or b"/"
        scope["path"] = unquote(scope["raw_path"].decode("ascii"))
