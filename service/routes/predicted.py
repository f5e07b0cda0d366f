"""GET /v1/predictions/{id}/mean, /variance, /covariance, /classes: what was predicted."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.answers.available import check_predicted
from service.answers.stripes import runs
from service.http.bodies import JSON, NPY, OCTETS
from service.http.conditional import byte_range, etag_of, not_modified
from service.http.problems import InvalidRequest
from service.http.queries import negotiate, only, read_slice
from service.results.content import DTYPES, Content
from service.routes.dependencies import PredictionId, ServiceNow, Tenant, streaming_place
from service.routes.recomputing import RECOMPUTE_SECONDS
from service.routes.sending import HEADERS, REQUEST_HEADERS, RESPONSES, SCHEMAS, send

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])

CLASSES = {"i8": np.dtype("<i8")}


@router.get(
    "/{prediction_id}/{output}",
    dependencies=[Depends(streaming_place)],
    summary="Predicted values",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={
        "x-problems": [404, 406, 409, 410, 412, 416, 422, 503],
        "x-headers": HEADERS,
        "x-responses": SCHEMAS,
        "x-request-headers": REQUEST_HEADERS,
    },
)
async def get_predicted(
    request: Request,
    prediction_id: PredictionId,
    output: Annotated[
        Literal["mean", "variance", "covariance", "classes"],
        Path(description="one of the outputs that the prediction was asked for"),
    ],
    service: ServiceNow,
    tenant: Tenant,
    rows: Annotated[
        str | None,
        Query(description="`a:b`, rows a to b - 1 of x_test; either end may be left out"),
    ] = None,
    cols: Annotated[
        str | None, Query(description="`a:b`, the same for the columns of a mean or covariance")
    ] = None,
    dtype: Annotated[
        Literal["f4", "f8"] | None, Query(description="element type; f8 when absent")
    ] = None,
) -> Response:
    """In the order of x_test: as `.npy` (default), as bare little-endian C-ordered bytes, or as JSON.
    A mean is (m), or (m, outputs) where the targets had columns, with one column a class for
    classification. Classes are 64-bit integers."""
    only(request, "rows", "cols", "dtype")
    media = negotiate(request, (NPY, OCTETS, JSON))
    record = await service.predictions.get(tenant, prediction_id)
    check_predicted(record, output)
    shape = record.shapes[output]
    span = read_slice(rows, shape[0], "rows")
    columns = _columns(cols, shape)
    kinds = CLASSES if output == "classes" else DTYPES
    kind = dtype or ("i8" if output == "classes" else "f8")
    if kind not in kinds:
        raise InvalidRequest("classes are integers, i8: leave dtype out", parameter="dtype")
    part = (len(span),) if columns is None else (len(span), len(columns))
    content = Content(media, part, kinds[kind])
    base = await service.predictions.base(tenant, record)
    where = [(line.start, line.stop) for line in (span, columns) if line is not None]
    etag = etag_of(media, kind, output, where, base)
    headers = {"ETag": etag, **content.about()}
    if not_modified(request, etag):
        return Response(None, 304, headers)
    asked = None if media == JSON else byte_range(request, etag, content.length)
    # It is there before the status is sent, since a status cannot be taken back.
    array = await service.predictions.array(tenant, record, output, RECOMPUTE_SECONDS)
    touched = span if asked is None else content.rows(asked, span)
    values = runs(array, touched, columns, kinds[kind], service.predictions.stripe)
    return send(request, content, asked, values, headers, f"{prediction_id}-{output}")


def _columns(text: str | None, shape: tuple[int, ...]) -> range | None:
    if len(shape) > 1:
        return read_slice(text, shape[1], "cols")
    if text is not None:
        raise InvalidRequest("this array has one axis: leave cols out", parameter="cols")
    return None
