"""Request bodies: how many bytes are read, and what kinds of them.

    Content-Encoding, Content-Type    415 before a byte is read
    Content-Length                    413 before a byte is read, 503 when too many are being read
    the bytes                         counted while they come: 413 past the limit, 503 as above, 400
                                      when they do not match Content-Length, 408 when they stop
    the parts of a form               each at most once, headers bounded; part of the same count

The framework's own readers are not used: their limits are not ours, and they answer in their own
words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.to_thread import run_sync
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from kernels.spec.pointers import escape
from service.http.body_room import expect, take
from service.http.content_digest import ContentDigest
from service.http.problems import (
    InvalidRequest,
    MalformedRequest,
    SlowRequest,
    TooLarge,
    UnsupportedMedia,
)
from service.http.strict_json import MAX_DEPTH, MAX_NAMES, read_json

JSON = "application/json"
NPY = "application/x-npy"
OCTETS = "application/octet-stream"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"

# Numbers in JSON take about ten times their text in memory, and empty lists thirty times: arrays of
# more than a few million elements travel as .npy.
MAX_JSON_BYTES = 16 << 20
# A sender may pause for this long, as slow links and large disks do, and no longer.
PAUSE_SECONDS = 30.0
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 1024
# RFC 2046, section 5.1.1.
MAX_BOUNDARY = 70

# The limits of this module and those it uses, as `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {
    "max_json_bytes": MAX_JSON_BYTES,
    "max_part_headers": MAX_PART_HEADERS,
    "max_part_header_bytes": MAX_PART_HEADER_BYTES,
    "max_json_depth": MAX_DEPTH,
    "max_json_names": MAX_NAMES,
    "body_pause_s": PAUSE_SECONDS,
}


def media_type(request: Request, accepted: tuple[str, ...], *, default: str | None = None) -> str:
    """The request's content type without parameters, one of `accepted`; `default` when it names
    none.

    Raises UnsupportedMedia for any other, and for a content coding, which could hide any size.
    """
    coding = ", ".join(request.headers.getlist("content-encoding")).lower()
    if {name.strip() for name in coding.split(",")} - {"identity", ""}:
        raise UnsupportedMedia(
            f"bodies are read as they are: send no Content-Encoding (got {coding[:60]!r})",
            parameter="Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )
    types = request.headers.getlist("content-type")
    # Two of them are none that is known.
    given = ", ".join(each.partition(";")[0].strip().lower() for each in types) or default
    if given not in accepted:
        came = f"got {given[:100]!r}" if given else "the request names none"
        raise UnsupportedMedia(
            f"expected Content-Type {' or '.join(accepted)}, {came}; with curl, -H 'Content-Type:"
            f" {accepted[0]}'",
            parameter="Content-Type",
            headers={"Accept": ", ".join(accepted)},
        )
    return given


async def read_body(request: Request, limit: int, digest: ContentDigest | None = None) -> bytearray:
    """The whole body, at most `limit` bytes of it, compared with its digest if it has one."""
    body = bytearray()
    async for chunk in _chunks(request, limit, digest):
        body += chunk
    return body


async def read_json_body(request: Request, limit: int) -> Any:
    """The body's JSON value; parsed off the event loop, since inline arrays may be large."""
    if limit <= MAX_JSON_BYTES:
        return await run_sync(read_json, await read_body(request, limit))
    try:
        body = await read_body(request, MAX_JSON_BYTES)
    except TooLarge as error:
        raise _json_too_large(error.actual or 0) from error
    return await run_sync(read_json, body)


async def read_json_part(text: bytearray) -> Any:
    """The JSON value of a form's part; raises TooLarge past MAX_JSON_BYTES."""
    if len(text) > MAX_JSON_BYTES:
        raise _json_too_large(len(text))
    return await run_sync(read_json, text)


async def read_json_or_form(
    request: Request, limit: int, names: tuple[str, ...]
) -> tuple[Any, dict[str, bytearray]]:
    """The JSON value of a body, or of the part `request` of a form and the parts beside it."""
    if media_type(request, (JSON, FORM)) == JSON:
        return await read_json_body(request, limit), {}
    parts = await read_form(request, limit, names)
    text = parts.pop("request", None)
    if text is None:
        raise InvalidRequest("the part request is missing: the JSON", pointer="/request")
    return await read_json_part(text), parts


def json_or_form(model: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What a route that calls `read_json_or_form` says of its body (service.contract.openapi).

    model: the schema of the JSON. names: of the parts, `request` first.
    """
    return {JSON: model, FORM: {"request": model} | dict.fromkeys(names[1:], "npy?")}


async def read_form(
    request: Request, limit: int, names: tuple[str, ...], digest: ContentDigest | None = None
) -> dict[str, bytearray]:
    """The parts of a multipart/form-data body by name, fields and files alike; `digest` is that of
    the whole body.

    Raises MalformedRequest for what is not multipart, InvalidRequest for a part of another name or
    one that comes twice, so that there are never more parts than names, and TooLarge past `limit`
    bytes in all.
    """
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise MalformedRequest(
            f"expected a multipart boundary of 1 to {MAX_BOUNDARY} characters in Content-Type, got"
            f" {len(boundary)}"
        )
    form = _Form(names)
    parser = MultipartParser(
        boundary,
        form.callbacks(),
        max_header_count=MAX_PART_HEADERS,
        max_header_size=MAX_PART_HEADER_BYTES,
    )
    try:
        async for chunk in _chunks(request, limit, digest):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequest(
            f"not multipart/form-data with boundary {boundary!r}: {error}"
        ) from error
    if not form.ended:
        raise MalformedRequest("the multipart body ends before its closing boundary")
    return form.parts


async def _chunks(
    request: Request, limit: int, digest: ContentDigest | None = None
) -> AsyncIterator[bytes]:
    """The body as it comes, counted against its limit and its own announcements."""
    announced = _content_length(request.headers)
    if announced is not None and announced > limit:
        raise _too_large(limit, announced)
    expect(request, announced or 0)
    came = 0
    stream = request.stream()
    while True:
        try:
            with anyio.fail_after(PAUSE_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise SlowRequest(
                f"no byte of the body came for {PAUSE_SECONDS:g} s", headers={"Connection": "close"}
            ) from error
        if chunk is None:
            break
        came += len(chunk)
        if came > limit:
            raise _too_large(limit, came)
        take(request, came)
        if digest is not None:
            digest.update(chunk)
        yield chunk
    if announced is not None and announced != came:
        raise MalformedRequest(f"Content-Length says {announced} bytes, {came} came")
    if digest is not None:
        digest.check()


def _content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise MalformedRequest(
            f"Content-Length must be a number of bytes, got {text[:60]!r}",
            parameter="Content-Length",
        )
    return int(text)


def _too_large(limit: int, actual: int) -> TooLarge:
    return TooLarge(
        f"the body may have {limit} bytes; send fewer rows, or raise GRAMD_MAX_BODY_BYTES on the"
        " server",
        limit=limit,
        actual=actual,
        also={"limit_name": "max_body_bytes"},
        # What is left of the body is not read.
        headers={"Connection": "close"},
    )


def _json_too_large(actual: float) -> TooLarge:
    return TooLarge(
        f"JSON may have {MAX_JSON_BYTES} bytes; send large arrays as .npy parts or datasets",
        limit=MAX_JSON_BYTES,
        actual=actual,
        also={"limit_name": "max_json_bytes"},
        headers={"Connection": "close"},
    )


@dataclass
class _Form:
    """Collects the parts that the multipart parser announces."""

    names: tuple[str, ...]
    parts: dict[str, bytearray] = field(default_factory=dict[str, bytearray])
    ended: bool = False
    _part: bytearray = field(default_factory=bytearray)
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> Any:
        """By the names that python-multipart has for them (its own type for them is private)."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._part.extend(data[start:end]),
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._name,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = b""

    def _header_end(self) -> None:
        name = bytes(self._header).strip().lower()
        if name == b"content-disposition":
            self._disposition = bytes(self._value)
        if name == b"content-transfer-encoding" and bytes(self._value).strip().lower() not in (
            b"binary",
            b"8bit",
            b"7bit",
        ):
            raise UnsupportedMedia(
                "parts are read as they are: send no Content-Transfer-Encoding but binary"
            )
        self._header.clear()
        self._value.clear()

    def _name(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self.names:
            raise InvalidRequest(
                f"expected parts named {', '.join(self.names)}, got one named {name[:60]!r}",
                pointer="/" + escape(name[:60]),
            )
        if name in self.parts:
            raise InvalidRequest(f"the part {name} comes twice", pointer=f"/{name}")
        self._part = self.parts[name] = bytearray()

    def _end(self) -> None:
        self.ended = True
