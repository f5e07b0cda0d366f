"""POST /v1/kernels/{id}/extensions: more rows for a matrix."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from service.http.bodies import json_or_form
from service.http.queries import only
from service.records import KernelRequest
from service.requests.extensions import read_extension
from service.requests.kernels import PARTS
from service.resources import KernelResource
from service.routes.dependencies import IdempotencyKey, JobId, ServiceNow, Tenant, waiting_place
from service.routes.submission import HEADERS, REQUEST_HEADERS, finished, kernels, submit

router = APIRouter(prefix="/v1/kernels", tags=["kernels"])


@router.post(
    "/{job_id}/extensions",
    status_code=202,
    dependencies=[Depends(waiting_place)],
    summary="Extend a job by new rows",
    response_model=KernelResource,
    responses=finished(KernelResource),
    openapi_extra={
        "x-problems": [400, 404, 408, 409, 410, 413, 415, 422, 429, 507],
        "x-headers": HEADERS,
        "x-body": json_or_form("ExtensionBody", PARTS),
        "x-request-headers": REQUEST_HEADERS,
    },
)
async def extend_kernel(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant, key: IdempotencyKey
) -> Response:
    """A job of its own: the matrix of the job's rows followed by the new ones, of everything else as
    it was. Tiles that the job made are found in the cache and only those at the border are
    computed; the receipt counts them. x1 alone extends both sides of the matrix of x1 with
    itself. Sequences may be longer or shorter than the job's where padding means nothing to the
    network; longer ones may have more than the border computed again."""
    only(request)
    await service.jobs.get(tenant, job_id)

    async def read(value: Any, parts: dict[str, bytearray]) -> KernelRequest:
        return await read_extension(service, tenant, job_id, value, parts)

    return await submit(request, service, tenant, key, kernels(service, tenant, read))
