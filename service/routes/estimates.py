"""POST /v1/estimates: what a kernel job would take."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from service.http.bodies import json_or_form, read_json_or_form
from service.http.queries import only
from service.jobs.estimates import EstimateResource
from service.requests.kernels import PARTS, read_kernel_request
from service.routes.dependencies import ServiceNow, Tenant

router = APIRouter(prefix="/v1", tags=["kernels"])


@router.post(
    "/estimates",
    summary="Estimate a job",
    openapi_extra={
        "x-problems": [400, 408, 413, 415, 422],
        "x-body": json_or_form("KernelBody", PARTS),
    },
)
async def estimate(request: Request, service: ServiceNow, tenant: Tenant) -> EstimateResource:
    """The body of POST /v1/kernels; nothing is stored or computed. Seconds rest on what tiles took on
    the workers that are here; until one was measured the answer says `uncalibrated`. `admitted` is
    what POST /v1/kernels would say now, with the limit that it would name; past max_rows and max_tiles
    nothing is counted, and the answer is the refusal itself."""
    only(request)
    value, parts = await read_json_or_form(request, service.settings.max_body_bytes, PARTS)
    wanted = await read_kernel_request(value, parts, tenant, service.datasets, service.settings)
    return await service.estimates.estimate(tenant, wanted)
