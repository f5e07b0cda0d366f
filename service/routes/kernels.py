"""POST and GET /v1/kernels, GET, PATCH and DELETE /v1/kernels/{id}: kernel jobs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from service.http.bodies import JSON, json_or_form
from service.http.conditional import state_of
from service.http.queries import only
from service.records import KernelRequest
from service.requests.kernels import PARTS, read_kernel_request
from service.resources import KernelList, KernelResource
from service.routes.dependencies import (
    IdempotencyKey,
    JobId,
    ServiceNow,
    Tenant,
    waiting_place,
)
from service.routes.following import Cursor, cancelled, polled
from service.routes.submission import HEADERS, REQUEST_HEADERS, finished, kernels, submit

router = APIRouter(prefix="/v1/kernels", tags=["kernels"])


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(waiting_place)],
    summary="Compute kernels",
    response_model=KernelResource,
    responses=finished(KernelResource),
    openapi_extra={
        "x-problems": [400, 408, 409, 410, 413, 415, 422, 429, 507],
        "x-headers": HEADERS,
        "x-body": json_or_form("KernelBody", PARTS),
        "x-request-headers": REQUEST_HEADERS,
    },
)
async def create_kernel(
    request: Request, service: ServiceNow, tenant: Tenant, key: IdempotencyKey
) -> Response:
    """The NNGP and NTK matrices between the rows of x1 and x2, or of x1 with itself. As JSON with
    inline lists or dataset ids, or as a form: `request` (the JSON, a field or a file) beside `.npy`
    parts. With `Prefer: wait=N` the answer comes when the job is finished or after N seconds,
    whichever is first."""
    only(request)

    async def read(value: Any, parts: dict[str, bytearray]) -> KernelRequest:
        return await read_kernel_request(value, parts, tenant, service.datasets, service.settings)

    return await submit(request, service, tenant, key, kernels(service, tenant, read))


@router.get("", summary="The jobs, newest first", openapi_extra={"x-problems": [422]})
async def list_kernels(
    request: Request,
    service: ServiceNow,
    tenant: Tenant,
    cursor: Cursor,
    limit: Annotated[int, Query(ge=1, le=200, description="jobs on one page")] = 50,
) -> KernelList:
    """A page of jobs; `next` is the cursor of the page after it."""
    only(request, "cursor", "limit")
    records, following = await service.jobs.list(tenant, cursor, limit)
    return KernelList(kernels=[KernelResource.of(record) for record in records], next=following)


@router.get(
    "/{job_id}",
    dependencies=[Depends(waiting_place)],
    summary="One job",
    response_model=KernelResource,
    responses={304: {"description": "As it was when the client got this ETag"}},
    openapi_extra={
        "x-problems": [404, 412, 422],
        "x-headers": {"200": ["ETag"], "304": ["ETag"]},
        "x-request-headers": ["Prefer", "If-None-Match", "If-Match"],
    },
)
async def get_kernel(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """Its state, progress, receipt and links. With `Prefer: wait=N` the answer comes when the job
    has ended or after N seconds."""
    jobs = service.jobs
    record = await polled(
        request,
        service,
        partial(jobs.get, tenant, job_id),
        partial(jobs.wait, tenant, job_id),
    )
    return state_of(request, KernelResource.of(record))


@router.patch(
    "/{job_id}",
    summary="Cancel a job",
    openapi_extra={
        "x-problems": [400, 404, 408, 409, 413, 415, 422],
        "x-body": {JSON: "StateBody"},
    },
)
async def cancel_kernel(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> KernelResource:
    """`{"state": "cancelled"}`: waiting tiles are dropped, running ones stop at their next check,
    and finished ones stay cached and can still be fetched."""
    cancel = partial(service.jobs.cancel, tenant, job_id)
    record = await cancelled(request, service, "job", cancel)
    return KernelResource.of(record)


@router.delete(
    "/{job_id}", status_code=204, summary="Remove a job", openapi_extra={"x-problems": [404, 422]}
)
async def delete_kernel(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """The job is cancelled first if it has not ended. Its tiles stay cached until they are
    evicted."""
    only(request)
    await service.jobs.delete(tenant, job_id)
    return Response(status_code=204)
