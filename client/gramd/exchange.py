"""What is said and what is made of the answer, without a socket: the core of both clients.

A `Talk` is a generator. It yields steps (send this, pause so long) and gets the answers; `Connection`
carries them out, with or without await. So everything that matters, retries included, is written once.

    talk --Send(request)--> connection --HTTP--> service
         <----Reply----------           (or Lost, thrown into the talk)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast
from uuid import uuid4

from gramd.errors import UnexpectedAnswer, Unreachable, read_problem
from gramd.retry import PASSING, Retry, Tries

T = TypeVar("T")

JSON = "application/json"
NPY = "application/x-npy"
OCTETS = "application/octet-stream"


class Sink(Protocol):
    """Takes a body as it comes."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """An answer that succeeded starts; header names are lower case."""
        ...

    def feed(self, data: bytes) -> None:
        """The next bytes of its body."""
        ...


@dataclass(frozen=True)
class Request:
    """One request. `repeatable`: sending it twice means the same as sending it once."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    repeatable: bool = True


@dataclass(frozen=True)
class Reply:
    """One answer; `body` is empty when a sink took it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it is the answer that was hoped for."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The JSON object that came; raises UnexpectedAnswer for anything else."""
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            start = self.body[:200].decode("utf-8", "replace")
            raise UnexpectedAnswer(f"expected a JSON object from gramd, got {start!r}")
        return cast("dict[str, Any]", document)


class Lost(Exception):
    """The connection failed. `sent`: the request may have reached the service."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True)
class Send:
    """Send a request and give back its Reply; a body that succeeds goes to the sink, if any.

    silence: seconds without a byte after which the connection counts as lost, if not the usual ones.
    until: the sink needs no more after this moment (time.monotonic), and the body is left at that.
    """

    request: Request
    sink: Sink | None = None
    silence: float | None = None
    until: float | None = None

    def enough(self) -> bool:
        """Whether `until` has passed."""
        return self.until is not None and time.monotonic() >= self.until


@dataclass(frozen=True)
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


Step = Send | Pause
Talk = Generator[Step, Any, T]


def exchange(
    wanted: Request | Callable[[], Request], retry: Retry, sink: Sink | None = None
) -> Talk[Reply]:
    """One call, repeated while that is safe and of use.

    wanted: the request, or what makes one for each try: a sink that has a part already asks for the
        rest.
    Raises Problem for what the service refuses, Unreachable when nothing answers.
    """
    tries = Tries(retry)
    while True:
        request = wanted if isinstance(wanted, Request) else wanted()
        try:
            reply: Reply = yield Send(request, sink)
        except Lost as lost:
            tries.lost += lost.sent
            again = request.repeatable or not lost.sent
            seconds = tries.pause() if again else None
            if seconds is None:
                made = max(tries.made, 1)
                message = f"{request.method} {request.path}: {lost}"
                # Lost is between the talk and its connection; callers want httpx's own words.
                raise Unreachable(message, made) from lost.__cause__
            yield Pause(seconds)
            continue
        # A DELETE whose answer was lost on the way has done its work when the resource is gone.
        if reply.ok or (request.method == "DELETE" and tries.lost and reply.status == 404):
            return reply
        seconds = _after(request, reply, tries)
        if seconds is None:
            raise read_problem(reply.status, reply.headers, reply.body)
        yield Pause(seconds)


def _after(request: Request, reply: Reply, tries: Tries) -> float | None:
    """Seconds until this refusal is worth another try; None: never."""
    # 409 with Retry-After to a POST: the first one with its Idempotency-Key is still being handled.
    busy = request.method == "POST" and reply.status == 409 and "retry-after" in reply.headers
    if not request.repeatable or not (busy or reply.status in PASSING):
        return None
    try:
        problem = read_problem(reply.status, reply.headers, reply.body)
    except UnexpectedAnswer:  # a gateway in between, which does not write problem documents
        return tries.pause()
    return tries.pause(problem.retry_after)


def get(path: str, retry: Retry, **params: str) -> Talk[dict[str, Any]]:
    """The JSON at a path."""
    return (yield from exchange(Request("GET", path, params), retry)).json()


def ask(path: str, body: Mapping[str, Any], retry: Retry) -> Talk[dict[str, Any]]:
    """The answer to a POST that stores nothing, and so can be repeated."""
    request = Request("POST", path, headers={"Content-Type": JSON}, body=encode(body))
    return (yield from exchange(request, retry)).json()


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as JSON; raises ValueError for NaN and infinities, which JSON does not have."""
    return json.dumps(document, allow_nan=False).encode()


def form(parts: Mapping[str, bytes]) -> tuple[bytes, str]:
    """multipart/form-data of JSON (the part `request`) and .npy files: its bytes and content type."""
    boundary = f"gramd-{uuid4().hex}"
    pieces: list[bytes] = []
    for name, data in parts.items():
        kind = JSON if name == "request" else NPY
        filename = "" if name == "request" else f'; filename="{name}.npy"'
        head = f'Content-Disposition: form-data; name="{name}"{filename}\r\nContent-Type: {kind}'
        pieces += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), data, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"
