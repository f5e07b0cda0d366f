"""What every handler starts from: the open service, the caller's tenant, and ids that are safe to
look up."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import Request

from service.errors import UnknownDataset, UnknownJob
from service.state import Service
from service.tenants import DEFAULT_TENANT

# Ids become parts of Redis names; what is not an id must not get that far.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def open_service_of(request: Request) -> Service:
    """The process's open service."""
    return request.app.state.service


def tenant_of() -> str:
    """Who is asking; without keys everyone is the one tenant."""
    return DEFAULT_TENANT


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


ServiceNow = Annotated[Service, Depends(open_service_of)]
Tenant = Annotated[str, Depends(tenant_of)]
JobId = Annotated[str, Depends(job_id_of)]
PredictionId = Annotated[str, Depends(prediction_id_of)]
DatasetId = Annotated[str, Depends(dataset_id_of)]
