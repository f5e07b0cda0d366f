"""A result as a response: whole, one range of its bytes, or as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import numpy as np
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.http.arrays import json_elements
from service.http.bodies import JSON, NPY, OCTETS
from service.http.queries import bodiless, head_only
from service.results.content import Content
from service.results.reading import ahead

# Text is several times as large as the numbers, and ten times in the making.
JSON_ELEMENTS = 65_536
# What a socket takes at once where the client keeps up: the rest of a larger piece is copied until there
# is room, and smaller ones are each given from hand to hand on their way there.
PIECE_BYTES = 1 << 20

# What such a route says of itself in openapi.yaml.
ALWAYS_SENT = ["ETag", "X-Gramd-Shape", "X-Gramd-Dtype", "Vary"]
HEADERS = {
    "200": [*ALWAYS_SENT, "Accept-Ranges", "Content-Length"],
    "206": [*ALWAYS_SENT, "Accept-Ranges", "Content-Length", "Content-Range"],
    "304": ALWAYS_SENT,
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The bytes of Range"},
    304: {"description": "What the client has under this ETag"},
}
SCHEMAS = {NPY: "npy", OCTETS: "octets", JSON: "Matrix"}
REQUEST_HEADERS = ["Accept", "Range", "If-Range", "If-None-Match", "If-Match"]


def send(
    request: Request,
    content: Content,
    asked: range | None,
    runs: AsyncGenerator[np.ndarray, None],
    headers: dict[str, str],
    name: str,
) -> Response:
    """The response to a GET or HEAD.

    asked: the bytes of Range, None for all. runs: the elements of the rows whose bytes are asked for.
    headers: what is sent beside those of the body. name: of a file of it, without the suffix.
    """
    headers = headers | {"Content-Type": content.media}
    if content.media != JSON:
        headers |= {
            "Accept-Ranges": "bytes",
            "Content-Length": str(content.length if asked is None else len(asked)),
            "Content-Disposition": f'attachment; filename="{name}.{content.suffix}"',
        }
    if head_only(request):
        return bodiless(headers)
    runs = ahead(runs)
    if content.media == JSON:
        return StreamingResponse(_json(runs, content.shape, content.kind), 200, headers)
    if asked is None:
        return StreamingResponse(binary(runs, content.header), 200, headers)
    headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{content.length}"
    return StreamingResponse(pieces(content.cut(runs, asked)), 206, headers)


async def pieces(parts: AsyncIterator[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """The bytes of `parts` in pieces that go to the socket without being copied first."""
    async for part in parts:
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]


def binary(
    runs: AsyncIterator[np.ndarray], start: bytes = b""
) -> AsyncIterator[bytes | memoryview]:
    """Runs of elements as bytes, behind `start`."""

    async def parts() -> AsyncIterator[bytes | memoryview]:
        yield start
        async for run in runs:
            yield run.data.cast("B")

    return pieces(parts())


async def _json(
    runs: AsyncIterator[np.ndarray], shape: tuple[int, ...], kind: str
) -> AsyncIterator[bytes]:
    """Runs of elements, in C order, as the JSON of a `Matrix`."""
    yield f'{{"shape": {json.dumps(shape)}, "dtype": "{kind}", "data": ['.encode()
    sent = 0
    async for run in runs:
        flat = run.reshape(-1)
        for first in range(0, len(flat), JSON_ELEMENTS):
            piece = flat[first : first + JSON_ELEMENTS]
            text = await run_sync(json_elements, piece, sent, shape)
            yield text if sent == 0 else b",\n" + text
            sent += len(piece)
    yield b"]}\n"
