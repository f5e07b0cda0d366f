"""What every handler starts from: the open service, the caller's tenant, and ids that are safe to
look up."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import Request
from structlog.contextvars import bind_contextvars

from service.errors import UnknownDataset, UnknownJob
from service.http import idempotency
from service.http.queries import waiting_seconds
from service.state import Service

# Ids become parts of Redis names; what is not an id must not get that far.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def open_service_of(request: Request) -> Service:
    """The process's open service."""
    return request.app.state.service


ServiceNow = Annotated[Service, Depends(open_service_of)]


async def tenant_of(request: Request, service: ServiceNow) -> str:
    """Who is asking; raises Unauthorized, and OverLimit for one who asks too fast.

    Runs before a byte of the body is read.
    """
    tenant = await request.app.state.gate.admit(request.headers.getlist("authorization"))
    bind_contextvars(tenant=tenant)
    # Whose bytes the body's are (service.http.body_room).
    request.state.tenant = tenant
    await service.quotas.request(tenant)
    return tenant


Tenant = Annotated[str, Depends(tenant_of)]


async def streaming_place(service: ServiceNow, tenant: Tenant) -> AsyncGenerator[None, None]:
    """For responses that are streamed: one of the tenant's places until the last byte is sent."""
    async with service.quotas.place(tenant):
        yield


async def waiting_place(
    request: Request, service: ServiceNow, tenant: Tenant
) -> AsyncGenerator[None, None]:
    """For responses that `Prefer: wait` delays: one of the places when that is asked for."""
    if waiting_seconds(request, service.settings.max_wait.total_seconds()):
        async with service.quotas.place(tenant):
            yield
    else:
        yield


def job_id_of(job_id: Annotated[str, Path(description="id of a kernel job")]) -> str:
    """A path's job id; raises UnknownJob for what can be none."""
    if not ID.fullmatch(job_id):
        raise UnknownJob(job_id[:64])
    return job_id


def prediction_id_of(
    prediction_id: Annotated[str, Path(description="id of a prediction")],
) -> str:
    """A path's prediction id; raises UnknownJob for what can be none."""
    if not ID.fullmatch(prediction_id):
        raise UnknownJob(prediction_id[:64], "prediction")
    return prediction_id


def dataset_id_of(dataset_id: Annotated[str, Path(description="id of a dataset")]) -> str:
    """A path's dataset id; raises UnknownDataset for what can be none."""
    if not ID.fullmatch(dataset_id):
        raise UnknownDataset(dataset_id[:64])
    return dataset_id


def idempotency_key_of(request: Request) -> str | None:
    """The request's Idempotency-Key, None without one; raises InvalidRequest for what is none."""
    return idempotency.read_key(request.headers.getlist(idempotency.HEADER))


JobId = Annotated[str, Depends(job_id_of)]
PredictionId = Annotated[str, Depends(prediction_id_of)]
DatasetId = Annotated[str, Depends(dataset_id_of)]
IdempotencyKey = Annotated[str | None, Depends(idempotency_key_of)]
