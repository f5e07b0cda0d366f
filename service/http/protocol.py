"""Bytes that are no HTTP: one problem document if none of a response was sent yet, and the end.

uvicorn answers in plain text, and raises in mid-connection when a chunk of a body is wrong whose
response is on its way already: a traceback in the log for whoever sends two bytes.
"""

import asyncio
import json
import socket
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from service.http.problems import KINDS, MEDIA_TYPE, MalformedRequest
from service.logs import get_logger

DETAIL = (
    "these bytes are no HTTP/1.1 request: expected a request line, Host and other headers in ASCII,"
    " one Content-Length or well-formed chunks, not both"
)

access = get_logger("gramd.access")

# Of a request line and headers, and of the line before a chunk.
HEAD_BYTES = 64 << 10


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """How any server of the application speaks HTTP."""
    # Nothing here is a WebSocket; looking for a library that could be is a warning a request.
    return uvicorn.Config(
        app, http=Http, ws="none", log_config=None, access_log=False, server_header=False, **options
    )


class Server(uvicorn.Server):
    """A server that says, by setting `stopping`, when it has been told to end: what waits answers
    then, before the time is up after which it is cancelled (timeout_graceful_shutdown)."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for the answers that are under way."""
        self._stopping.set()
        await super().shutdown(sockets)


class Connection(h11.Connection):
    """Hands on what is sent as it is, where h11 joins it with nothing else, which copies a body; and
    takes no request whose end another server may see elsewhere (RFC 9112, section 6.1)."""

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if {b"content-length", b"transfer-encoding"} <= names:
                raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event

    def send(self, event: h11.Event) -> Any:
        parts = self.send_with_data_passthrough(event)
        if parts is None:
            return None
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Http(H11Protocol):
    """HTTP/1.1 on one connection."""

    def __init__(self, config: uvicorn.Config, *others: Any, **named: Any) -> None:
        super().__init__(config, *others, **named)
        self.conn = Connection(h11.SERVER, HEAD_BYTES)
        # service.metrics.RequestMetrics, which counts what gets as far as the application.
        self._requests = cast("Any", config.app).state.requests

    def send_400_response(self, msg: str) -> None:
        """End the connection, with a response where one can still be told from what was sent."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        under_way = cycle is not None and not cycle.response_complete
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(self._refusal(counted=not under_way))
        if cycle is not None and under_way:
            # What the application answers goes nowhere.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: an upgrade that is not made is no matter for whoever reads the log."""

    def _refusal(self, *, counted: bool) -> bytes:
        """The answer, logged, and counted where service.context has nothing to count."""
        kind, request_id = KINDS[MalformedRequest], uuid4().hex
        about = {"method": "other", "path": "", "status": kind.status, "ms": 0.0}
        access.info("request", **about, request_id=request_id)
        if counted:
            self._requests.began()
            self._requests.ended("other", "none", kind.status, 0.0)
        body = json.dumps(kind.document(DETAIL, request_id=request_id))
        head = (
            f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"X-Request-Id: {request_id}\r\nConnection: close\r\n\r\n"
        )
        return (head + body).encode("ascii")
