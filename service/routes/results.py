"""GET /v1/kernels/{id}/nngp, /ntk and their standard errors: the results, streamed."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import numpy as np
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.arrays import json_elements, npy_header
from service.bodies import JSON, NPY, OCTETS
from service.errors import TilesMissing
from service.problems import InvalidRequest
from service.queries import negotiate, only, read_slice
from service.records import JobRecord, Layout
from service.results import check_available, check_finished
from service.routes.dependencies import JobId, ServiceNow, Tenant
from service.state import Service
from service.windows import Window, open_window

router = APIRouter(prefix="/v1/kernels", tags=["results"])

# How long a fetch waits for evicted tiles to be computed again before it answers 503.
RECOMPUTE_SECONDS = 20.0
# Text is several times as large as the numbers, and ten times in the making.
JSON_ELEMENTS = 65_536
DTYPES = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8")}


@router.get(
    "/{job_id}/{output}",
    summary="A kernel matrix",
    response_class=Response,
    openapi_extra={
        "x-problems": [404, 406, 409, 410, 422, 503],
        "x-headers": {"200": ["Content-Length", "X-Gramd-Shape", "X-Gramd-Dtype", "Vary"]},
        "x-answers": {NPY: "npy", OCTETS: "octets", JSON: "Matrix"},
        "x-request-headers": ["Accept"],
    },
)
async def get_matrix(
    request: Request,
    job_id: JobId,
    output: Annotated[
        Literal["nngp", "ntk", "nngp_stderr", "ntk_stderr"],
        Path(description="which kernel, or the standard error of an estimated one"),
    ],
    service: ServiceNow,
    tenant: Tenant,
    rows: Annotated[
        str | None, Query(description="`a:b`, rows a to b - 1 of x1; either end may be left out")
    ] = None,
    cols: Annotated[str | None, Query(description="`a:b`, the same for the columns")] = None,
    dtype: Annotated[
        Literal["f4", "f8"] | None, Query(description="element type; the job's own when absent")
    ] = None,
) -> Response:
    """The whole matrix or a rectangle of it, in the caller's order of rows: as `.npy` (default), as
    bare little-endian C-ordered bytes, or as JSON. A job of the form "diagonal" has one axis and no
    columns; one of the form "positions" has the positions of x and of x' as further axes. Finished
    rows can be fetched while the rest is computed; rows that are not finished answer 409 with
    Retry-After."""
    only(request, "rows", "cols", "dtype")
    media = negotiate(request, (NPY, OCTETS, JSON))
    record = await service.jobs.get(tenant, job_id)
    check_available(record, output)
    span = read_slice(rows, record.n1, "rows"), _columns(cols, record)
    layout = await service.jobs.layout(tenant, job_id)
    part = open_window(layout, output, *span)
    check_finished(part)
    # All tiles are there before the status is sent, since a status cannot be taken back.
    await service.jobs.ensure_tiles(layout, part.needed(), RECOMPUTE_SECONDS)
    kind = dtype or ("f8" if record.dtype == "float64" else "f4")
    headers = {
        "X-Gramd-Shape": ",".join(map(str, part.shape)),
        "X-Gramd-Dtype": kind,
        "Vary": "Accept",
        "Content-Type": media,
    }
    start = npy_header(part.shape, DTYPES[kind]) if media == NPY else b""
    if media != JSON:
        length = len(start) + math.prod(part.shape) * DTYPES[kind].itemsize
        suffix = "npy" if media == NPY else "bin"
        headers |= {
            "Content-Length": str(length),
            "Content-Disposition": f'attachment; filename="{job_id}-{output}.{suffix}"',
        }
    if getattr(request.state, "head", False):
        return Response(None, 200, headers)
    runs = _runs(service, tenant, layout, part, DTYPES[kind])
    body = json_text(runs, part.shape, kind) if media == JSON else binary(runs, start)
    return StreamingResponse(body, 200, headers)


def _columns(text: str | None, record: JobRecord) -> range:
    if text is not None and record.form == "diagonal":
        raise InvalidRequest(
            "a diagonal has rows only: leave cols out, or ask for the form matrix", parameter="cols"
        )
    return read_slice(text, record.n2, "cols")


def _runs(
    service: Service, tenant: str, layout: Layout, part: Window, dtype: np.dtype
) -> AsyncIterator[np.ndarray]:
    """The window's runs; a tile that is evicted while they are sent is computed again."""

    async def read(index: int) -> np.ndarray:
        values = await service.tiles.read(tenant, layout.digests[index], part.output)
        if values is None:
            await service.jobs.ensure_tiles(layout, [index], RECOMPUTE_SECONDS)
            values = await service.tiles.read(tenant, layout.digests[index], part.output)
        if values is None:
            raise TilesMissing(1, 1)
        return values

    return part.runs(dtype, read)


async def binary(
    runs: AsyncIterator[np.ndarray], start: bytes
) -> AsyncIterator[bytes | memoryview]:
    """Runs of elements as bytes, behind `start`."""
    yield start
    async for run in runs:
        yield run.data.cast("B")


async def json_text(
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
