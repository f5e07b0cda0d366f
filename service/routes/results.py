"""GET /v1/kernels/{id}/nngp, /ntk and their standard errors: the results, streamed."""

from __future__ import annotations

from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.http.bodies import JSON, NPY, OCTETS
from service.http.conditional import byte_range, etag_of, not_modified
from service.http.problems import InvalidRequest
from service.http.queries import negotiate, only, read_slice
from service.records import JobRecord
from service.results.available import check_available, check_finished
from service.results.content import DTYPES, Content
from service.results.windows import Window, open_window
from service.routes.dependencies import JobId, ServiceNow, Tenant, streaming_place
from service.routes.recomputing import RECOMPUTE_SECONDS, runs_of
from service.routes.sending import HEADERS, REQUEST_HEADERS, RESPONSES, SCHEMAS, send

router = APIRouter(prefix="/v1/kernels", tags=["results"])


@router.get(
    "/{job_id}/{output}",
    dependencies=[Depends(streaming_place)],
    summary="A kernel matrix",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={
        "x-problems": [404, 406, 409, 410, 412, 416, 422, 503],
        "x-headers": HEADERS,
        "x-responses": SCHEMAS,
        "x-request-headers": REQUEST_HEADERS,
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
    Retry-After. A byte range needs the rows that it touches and no others."""
    only(request, "rows", "cols", "dtype")
    media = negotiate(request, (NPY, OCTETS, JSON))
    record = await service.jobs.get(tenant, job_id)
    check_available(record, output)
    span = read_slice(rows, record.n1, "rows"), _columns(cols, record)
    layout = await service.jobs.layout(record)
    # On threads, all that looks at every tile: of a large job it would hold up all other requests.
    part = await run_sync(open_window, layout, output, *span)
    kind = dtype or ("f8" if record.dtype == "float64" else "f4")
    content = Content(media, part.shape, DTYPES[kind])
    etag = await run_sync(_etag, part, media, kind, span)
    known = not_modified(request, etag)
    asked = None if known or media == JSON else byte_range(request, etag, content.length)
    touched = part
    if asked is not None:
        rows_asked = content.rows(asked, span[0])
        touched = None
        if rows_asked:
            touched = await run_sync(open_window, layout, output, rows_asked, span[1])
    if touched is not None:
        await run_sync(check_finished, touched)
    headers = {"ETag": etag, **content.about()}
    if known:
        return Response(None, 304, headers)
    if touched is not None:
        # All tiles are there before the status is sent, since a status cannot be taken back.
        needed = await run_sync(touched.needed)
        await service.jobs.ensure_tiles(layout, needed, RECOMPUTE_SECONDS)
    runs = runs_of(service, tenant, layout, touched, DTYPES[kind])
    return send(request, content, asked, runs, headers, f"{job_id}-{output}")


def _etag(part: Window, media: str, kind: str, span: tuple[range, range]) -> str:
    """Of the tiles that hold a part, and of how it is sent."""
    layout = part.layout
    names = [layout.digests[tile] for tile in sorted(part.needed())]
    where = [(line.start, line.stop) for line in span]
    return etag_of(media, kind, layout.record.form, part.output, where, names)


def _columns(text: str | None, record: JobRecord) -> range:
    if text is not None and record.form == "diagonal":
        raise InvalidRequest(
            "a diagonal has rows only: leave cols out, or ask for the form matrix", parameter="cols"
        )
    return read_slice(text, record.n2, "cols")
