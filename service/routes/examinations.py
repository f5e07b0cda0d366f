"""GET /v1/kernels/{id}/diagnostics and /preview.png: what a finished kernel job looks like."""

from __future__ import annotations

import json

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from service.answers.examinations import Examination
from service.errors import TooMuch
from service.http.presence import while_present
from service.http.problems import InvalidRequest, Pending, Unavailable
from service.http.queries import only, waiting_seconds
from service.records import JobRecord
from service.resources import Diagnostics
from service.results.available import check_expired, retry_after
from service.routes.dependencies import JobId, ServiceNow, Tenant, waiting_place
from service.routes.recomputing import RECOMPUTE_SECONDS
from service.state import Service

router = APIRouter(prefix="/v1/kernels", tags=["results"])

PNG = "image/png"
# A small one is there by then, so that asking once is enough.
SHORT_WAIT_S = 2.0


@router.get(
    "/{job_id}/diagnostics",
    dependencies=[Depends(waiting_place)],
    summary="How good a kernel matrix is",
    openapi_extra={
        "x-problems": [404, 409, 410, 413, 422, 503],
        "x-request-headers": ["Prefer"],
    },
)
async def get_diagnostics(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Diagnostics:
    """Eigenvalues, condition number, asymmetry and the jitter that a factorisation needs, of a matrix of
    x1 with itself; and, of exact kernels in float32, a few entries computed again in float64. Made by
    a worker when first asked for; 409 with Retry-After until then (`Prefer: wait=N` waits). One that
    could not be made answers 409 without it, and is tried again when asked for a minute later."""
    only(request)
    record = await _finished(service, tenant, job_id)
    limit = service.settings.max_prediction_rows
    if record.symmetric and record.n1 > limit:
        raise TooMuch(
            "max_prediction_rows", limit, record.n1,
            f"the eigenvalues of {record.n1} rows; {limit} are allowed, because one worker has to "
            "hold the matrix; diagnose a job of fewer rows, or look at preview.png",
        )  # fmt: skip
    content = await _content(request, service, record, "diagnostics")
    return Diagnostics.model_validate(
        {"kernel": record.id, "square": record.symmetric, "results": json.loads(content)}
    )


@router.get(
    "/{job_id}/preview.png",
    dependencies=[Depends(waiting_place)],
    summary="A picture of a kernel matrix",
    response_class=Response,
    openapi_extra={
        "x-problems": [404, 409, 410, 422, 503],
        "x-responses": {PNG: "png"},
        "x-request-headers": ["Prefer"],
    },
)
async def get_preview(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """Each kernel as a heatmap, with its eigenvalues beside it (singular values where the sides differ);
    of large matrices, 1,024 evenly spaced rows and columns. Made by a worker when first asked for;
    409 with Retry-After until then (`Prefer: wait=N` waits). One that could not be made answers 409
    without it, and is tried again when asked for a minute later."""
    only(request)
    record = await _finished(service, tenant, job_id)
    return Response(await _content(request, service, record, "preview"), 200, media_type=PNG)


async def _finished(service: Service, tenant: str, job_id: str) -> JobRecord:
    """The record of a job that has succeeded and whose results are matrices."""
    record = await service.jobs.get(tenant, job_id)
    if record.form != "matrix":
        raise InvalidRequest(
            f'this job has the form "{record.form}"; only matrices are examined: ask for the form'
            ' "matrix"'
        )
    check_expired(record)
    if record.state == "succeeded":
        return record
    if record.ended:
        raise Unavailable(f"the job is {record.state}: there is nothing to examine")
    raise _pending(f"the job is {record.state}; ask again when it has succeeded", record.eta_s)


async def _content(
    request: Request, service: Service, record: JobRecord, kind: Examination
) -> bytes:
    """What a worker made; raises Pending while it does, and Unavailable when it cannot."""
    longest = service.settings.max_wait.total_seconds()
    seconds = waiting_seconds(request, longest)
    waiting = service.examinations.fields(
        record, kind, SHORT_WAIT_S if seconds is None else seconds
    )
    fields = await while_present(request, waiting)
    if fields is None or fields["state"] in ("queued", "running"):
        raise _pending(f"the {kind} is being made; ask again in 1 s", None)
    if fields["state"] != "succeeded":
        reason = fields.get("error", {}).get("detail", fields["state"])
        raise Unavailable(f"the {kind} could not be made: {reason}")
    return await service.examinations.content(record, kind, fields["result"], RECOMPUTE_SECONDS)


def _pending(detail: str, eta_s: float | None) -> Pending:
    return Pending(detail, headers={"Retry-After": str(retry_after(eta_s))})
