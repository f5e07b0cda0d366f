"""GET /v1/kernels/{id}/nngp and /ntk: the matrices, streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import numpy as np
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.arrays import json_rows, npy_header
from service.bodies import JSON, NPY, OCTETS
from service.errors import TilesMissing
from service.queries import negotiate, only, read_slice
from service.records import Layout
from service.results import Window, check_available
from service.routes.dependencies import JobId, ServiceNow, Tenant
from service.state import Service

router = APIRouter(prefix="/v1/kernels", tags=["results"])

# How long a fetch waits for evicted tiles to be computed again before it answers 503.
RECOMPUTE_SECONDS = 20.0
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
    output: Annotated[Literal["nngp", "ntk"], Path(description="which kernel")],
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
    bare little-endian C-ordered bytes, or as JSON. Finished rows can be fetched while the rest is
    computed; rows that are not finished answer 409 with Retry-After."""
    only(request, "rows", "cols", "dtype")
    media = negotiate(request, (NPY, OCTETS, JSON))
    record = await service.jobs.get(tenant, job_id)
    check_available(record, output)
    span = read_slice(rows, record.n1, "rows"), read_slice(cols, record.n2, "cols")
    layout = await service.jobs.layout(tenant, job_id)
    part = Window(layout, output, *span)
    part.check_finished()
    # All tiles are there before the status is sent, since a status cannot be taken back.
    await service.jobs.ensure_tiles(layout, part.needed(), RECOMPUTE_SECONDS)
    kind = dtype or ("f8" if record.dtype == "float64" else "f4")
    headers = {
        "X-Gramd-Shape": f"{part.shape[0]},{part.shape[1]}",
        "X-Gramd-Dtype": kind,
        "Vary": "Accept",
        "Content-Type": media,
    }
    start = npy_header(part.shape, DTYPES[kind]) if media == NPY else b""
    if media != JSON:
        length = len(start) + part.shape[0] * part.shape[1] * DTYPES[kind].itemsize
        suffix = "npy" if media == NPY else "bin"
        headers |= {
            "Content-Length": str(length),
            "Content-Disposition": f'attachment; filename="{job_id}-{output}.{suffix}"',
        }
    if getattr(request.state, "head", False):
        return Response(None, 200, headers)
    stripes = _stripes(service, tenant, layout, part, DTYPES[kind])
    body = _json(stripes, part.shape, kind) if media == JSON else _binary(stripes, start)
    return StreamingResponse(body, 200, headers)


def _stripes(
    service: Service, tenant: str, layout: Layout, part: Window, dtype: np.dtype
) -> AsyncIterator[np.ndarray]:
    """The window's stripes; a tile that is evicted while they are sent is computed again."""

    async def read(index: int) -> np.ndarray:
        values = await service.tiles.read(tenant, layout.digests[index], part.output)
        if values is None:
            await service.jobs.ensure_tiles(layout, [index], RECOMPUTE_SECONDS)
            values = await service.tiles.read(tenant, layout.digests[index], part.output)
        if values is None:
            raise TilesMissing(1, 1)
        return values

    return part.stripes(dtype, read)


async def _binary(
    stripes: AsyncIterator[np.ndarray], start: bytes
) -> AsyncIterator[bytes | memoryview]:
    yield start
    async for stripe in stripes:
        yield stripe.data.cast("B")


async def _json(
    stripes: AsyncIterator[np.ndarray], shape: tuple[int, int], kind: str
) -> AsyncIterator[bytes]:
    yield f'{{"shape": {json.dumps(shape)}, "dtype": "{kind}", "data": ['.encode()
    between = b""
    async for stripe in stripes:
        # Text is several times as large as the numbers: a bounded part of a stripe at a time.
        height = max(1, 65_536 // stripe.shape[1])
        for first in range(0, len(stripe), height):
            yield between + await run_sync(json_rows, stripe[first : first + height])
            between = b",\n"
    yield b"]}\n"
