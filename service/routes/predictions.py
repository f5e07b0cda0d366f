"""POST and GET /v1/predictions, GET, PATCH and DELETE /v1/predictions/{id}: answers from kernels."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from service.answers.records import PredictionRecord
from service.http.bodies import JSON, json_or_form
from service.http.conditional import state_of
from service.http.queries import only
from service.requests.predictions import PARTS, read_prediction_request
from service.resources import PredictionList, PredictionResource
from service.routes.dependencies import (
    IdempotencyKey,
    PredictionId,
    ServiceNow,
    Tenant,
    waiting_place,
)
from service.routes.following import Cursor, cancelled, polled
from service.routes.submission import HEADERS, REQUEST_HEADERS, Collection, finished, submit

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(waiting_place)],
    summary="Predict",
    response_model=PredictionResource,
    responses=finished(PredictionResource),
    openapi_extra={
        "x-problems": [400, 408, 409, 410, 413, 415, 422, 429, 507],
        "x-headers": HEADERS,
        "x-body": json_or_form("PredictionBody", PARTS),
        "x-request-headers": REQUEST_HEADERS,
    },
)
async def create_prediction(
    request: Request, service: ServiceNow, tenant: Tenant, key: IdempotencyKey
) -> Response:
    """What infinitely wide networks that learnt `y_train` say of `x_test`: the posterior of a Gaussian
    process, an ensemble trained by gradient flow, or kernel ridge. Its kernels are kernel jobs like
    any others, and the factorisation of the training kernel is kept for the next test inputs. Bodies
    and `Prefer: wait=N` are as those of POST /v1/kernels."""
    only(request)

    async def make(value: Any, parts: dict[str, bytearray], prediction_id: str) -> PredictionRecord:
        wanted = await read_prediction_request(
            value, parts, tenant, service.datasets, service.settings
        )
        return await service.predictions.create(tenant, wanted, prediction_id)

    predictions = Collection(
        path="/v1/predictions",
        noun="prediction",
        parts=PARTS,
        new_id=service.predictions.new_id,
        make=make,
        get=partial(service.predictions.get, tenant),
        wait=partial(service.predictions.wait, tenant),
        show=PredictionResource.of,
    )
    return await submit(request, service, tenant, key, predictions)


@router.get("", summary="The predictions, newest first", openapi_extra={"x-problems": [422]})
async def list_predictions(
    request: Request,
    service: ServiceNow,
    tenant: Tenant,
    cursor: Cursor,
    limit: Annotated[int, Query(ge=1, le=200, description="predictions on one page")] = 50,
) -> PredictionList:
    """A page of predictions; `next` is the cursor of the page after it."""
    only(request, "cursor", "limit")
    records, following = await service.predictions.list(tenant, cursor, limit)
    found = [PredictionResource.of(record) for record in records]
    return PredictionList(predictions=found, next=following)


@router.get(
    "/{prediction_id}",
    dependencies=[Depends(waiting_place)],
    summary="One prediction",
    response_model=PredictionResource,
    responses={304: {"description": "As it was when the client got this ETag"}},
    openapi_extra={
        "x-problems": [404, 412, 422],
        "x-headers": {"200": ["ETag"], "304": ["ETag"]},
        "x-request-headers": ["Prefer", "If-None-Match", "If-Match"],
    },
)
async def get_prediction(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> Response:
    """Its state, its kernel jobs, its receipt and links. With `Prefer: wait=N` the answer comes when
    it has ended or after N seconds."""
    predictions = service.predictions
    record = await polled(
        request,
        service,
        partial(predictions.get, tenant, prediction_id),
        partial(predictions.wait, tenant, prediction_id),
    )
    return state_of(request, PredictionResource.of(record))


@router.patch(
    "/{prediction_id}",
    summary="Cancel a prediction",
    openapi_extra={
        "x-problems": [400, 404, 408, 409, 413, 415, 422],
        "x-body": {JSON: "StateBody"},
    },
)
async def cancel_prediction(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> PredictionResource:
    """`{"state": "cancelled"}`: it and its kernel jobs stop; what they have finished stays cached."""
    cancel = partial(service.predictions.cancel, tenant, prediction_id)
    record = await cancelled(request, service, "prediction", cancel)
    return PredictionResource.of(record)


@router.delete(
    "/{prediction_id}",
    status_code=204,
    summary="Remove a prediction",
    openapi_extra={"x-problems": [404, 422]},
)
async def delete_prediction(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> Response:
    """It and its kernel jobs are stopped and forgotten. Tiles and factors stay cached until they are
    evicted."""
    only(request)
    await service.predictions.delete(tenant, prediction_id)
    return Response(status_code=204)
