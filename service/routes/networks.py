"""GET /v1/kernels/{id}/architecture and /v1/predictions/{id}/architecture: what network it was."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.answers.records import PredictionRecord
from service.http.bodies import JSON
from service.http.conditional import not_modified
from service.http.problems import Gone
from service.http.queries import only
from service.records import JobRecord
from service.resources import CanonicalArchitecture
from service.results.available import check_expired
from service.routes.dependencies import JobId, PredictionId, ServiceNow, Tenant
from service.state import Service

router = APIRouter(prefix="/v1")

RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client has it, by its ETag"}
}
EXTRA: dict[str, Any] = {
    "x-problems": [404, 410, 412, 422],
    "x-headers": {"200": ["ETag"], "304": ["ETag"]},
    "x-request-headers": ["If-None-Match", "If-Match"],
}


@router.get(
    "/kernels/{job_id}/architecture",
    tags=["kernels"],
    summary="The network of a job",
    response_model=CanonicalArchitecture,
    responses=RESPONSES,
    openapi_extra=EXTRA,
)
async def get_kernel_architecture(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """The canonical form, whose SHA-256 is the job's `architecture`; POSTed as `architecture`, it asks
    for the same network. It is there from the POST on, until the job expires."""
    only(request)
    return await _respond(request, service, await service.jobs.get(tenant, job_id), "job")


@router.get(
    "/predictions/{prediction_id}/architecture",
    tags=["predictions"],
    summary="The network of a prediction",
    response_model=CanonicalArchitecture,
    responses=RESPONSES,
    openapi_extra=EXTRA,
)
async def get_prediction_architecture(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> Response:
    """As GET /v1/kernels/{job_id}/architecture, of all of its kernels."""
    only(request)
    record = await service.predictions.get(tenant, prediction_id)
    return await _respond(request, service, record, "prediction")


async def _respond(
    request: Request, service: Service, record: JobRecord | PredictionRecord, noun: str
) -> Response:
    """The stored document as it stands; raises Gone."""
    check_expired(record, noun)
    document = await service.inputs.architecture(record.tenant, record.architecture)
    if document is None:  # it expired, or was deleted, in this moment
        raise Gone(f"the {noun} has expired; the same request computes it again")
    headers = {"ETag": f'"{record.architecture}"'}
    if not_modified(request, headers["ETag"]):
        return Response(None, 304, headers)
    return Response(document, 200, headers, media_type=JSON)
