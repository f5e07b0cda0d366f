"""POST /v1/kernels/{id}/zarr, GET /v1/kernels/{id}/zarr/{token}/...: a job as a Zarr v3 group."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.errors import UnknownJob
from service.http.bodies import JSON, OCTETS
from service.http.conditional import etag_of, not_modified
from service.http.problems import Gone, Pending, Unavailable, UnknownResource
from service.http.queries import head_only, only
from service.records import JobRecord, Layout
from service.resources import ZarrResource
from service.results.available import check_expired
from service.results.reading import ahead
from service.results.windows import open_window
from service.results.zarr_layout import Chunk, ZarrLayout
from service.routes.dependencies import JobId, ServiceNow, Tenant
from service.routes.recomputing import RECOMPUTE_SECONDS, runs_of
from service.routes.sending import binary
from service.state import Service
from service.store import keys

router = APIRouter(prefix="/v1/kernels", tags=["results"])


@router.post(
    "/{job_id}/zarr",
    status_code=201,
    summary="Open a job to readers of Zarr",
    response_model=ZarrResource,
    openapi_extra={
        "x-problems": [404, 409, 410, 422],
        "x-headers": {"201": ["Location"]},
    },
)
async def open_zarr(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """The path of a read-only Zarr v3 group with an array for each result. A token in it takes the
    place of headers, which such readers do not send; it ends after path_token_ttl_s. The job must
    have succeeded."""
    only(request)
    _check_complete(await service.jobs.get(tenant, job_id))
    made = await service.path_tokens.make(keys.ref(tenant, job_id))
    path = f"/v1/kernels/{job_id}/zarr/{made.token}"
    resource = ZarrResource(links={"zarr": path}, expires_at=made.expires_at)
    return JSONResponse(resource.model_dump(mode="json"), 201, {"Location": path})


async def opened(
    job_id: JobId,
    token: Annotated[str, Path(description="of POST /v1/kernels/{id}/zarr")],
    service: ServiceNow,
) -> AsyncGenerator[Layout, None]:
    """The layout of the token's job, as a request of its tenant, and in one of its places until the last
    byte is sent. Whatever is wrong is 410, 409 or 429, and never 404."""
    ref = await service.path_tokens.job(token)
    tenant, known = keys.split(ref or ":")
    if known != job_id:
        raise Gone("this token has ended, or never was one; POST /v1/kernels/{id}/zarr for another")
    await service.quotas.request(tenant)
    async with service.quotas.place(tenant):
        try:
            layout = await service.jobs.layout(await service.jobs.get(tenant, job_id))
        except UnknownJob as error:
            raise Gone("the job has been deleted or has expired") from error
        _check_complete(layout.record)
        yield layout


@router.get(
    "/{job_id}/zarr/{token}/{key:path}",
    summary="A document or chunk of the Zarr group",
    response_class=Response,
    responses={304: {"description": "What the client has under this ETag"}},
    openapi_extra={
        "x-problems": [404, 409, 410, 412, 422, 429],
        "x-headers": {"200": ["ETag", "Content-Length"], "304": ["ETag"]},
        "x-responses": {OCTETS: "octets", JSON: "object"},
        "x-request-headers": ["If-None-Match", "If-Match"],
    },
)
async def get_zarr(
    request: Request,
    layout: Annotated[Layout, Depends(opened)],
    key: Annotated[str, Path(description="zarr.json, nngp/zarr.json, nngp/c/0/0 and so on")],
    service: ServiceNow,
) -> Response:
    """`zarr.json` has the metadata of all arrays (there is no listing over HTTP); chunks are
    uncompressed little-endian, those at the edge filled up with NaN. A chunk whose tiles were
    evicted is computed again, or answers 503 with Retry-After; a token that has ended answers 410.
    Neither is 404, which readers take for a chunk of fill values. Requests and answers kept open count
    against the quotas of whoever made the token."""
    only(request)
    group = ZarrLayout(layout)
    document = group.metadata(key)
    chunk = None if document is not None else group.chunk(key)
    if document is not None:
        headers = {"ETag": etag_of(document.decode())}
    elif chunk is not None:
        headers = {"ETag": etag_of(layout.record.id, key, layout.digests[0])}
    else:
        raise UnknownResource(f"there is no {key[:100]!r} in this group; zarr.json says what is")
    if not_modified(request, headers["ETag"]):
        return Response(None, 304, headers)
    if chunk is None:
        return Response(document, 200, headers, JSON)
    return await _chunk(request, service, layout, chunk, headers)


def _check_complete(record: JobRecord) -> None:
    check_expired(record)
    if record.state == "succeeded":
        return
    if record.ended:
        raise Unavailable(f"the job is {record.state}; only one that has succeeded can be opened")
    raise Pending(
        f"the job is {record.state}; it can be opened when it has succeeded",
        headers={"Retry-After": "2"},
        also={"state": record.state},
    )


async def _chunk(
    request: Request, service: Service, layout: Layout, chunk: Chunk, headers: dict[str, str]
) -> Response:
    dtype = np.dtype(layout.record.dtype).newbyteorder("<")
    part = open_window(layout, chunk.output, chunk.rows, chunk.cols)
    await service.jobs.ensure_tiles(layout, part.needed(), RECOMPUTE_SECONDS)
    headers |= {
        "Content-Type": OCTETS,
        "Content-Length": str(math.prod(chunk.shape) * dtype.itemsize),
    }
    if head_only(request):
        return Response(None, 200, headers)
    runs = runs_of(service, layout.record.tenant, layout, part, dtype)
    if part.shape == chunk.shape:
        return StreamingResponse(binary(ahead(runs)), 200, headers)
    # Of several inputs, so no larger than a tile of theirs may be.
    inner = np.concatenate([run.reshape(-1) async for run in runs]).reshape(part.shape)
    whole = np.full(chunk.shape, np.nan, dtype)
    whole[tuple(slice(size) for size in part.shape)] = inner
    return Response(whole.tobytes(), 200, headers)
