"""POST and GET /v1/predictions, GET, PATCH and DELETE /v1/predictions/{id}: answers from kernels."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.answers.records import PredictionRecord, PredictionRequest
from service.answers.requests import PARTS, read_prediction_request
from service.bodies import FORM, JSON, media_type, read_form, read_json_body, read_json_part
from service.kernel_requests import read_fields
from service.presence import while_present
from service.problems import Conflict, InvalidRequest
from service.queries import only, waiting_seconds
from service.resources import PredictionList, PredictionResource
from service.routes.dependencies import ID, PredictionId, ServiceNow, Tenant
from service.routes.kernels import StateBody
from service.state import Service

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])


@router.post(
    "",
    status_code=202,
    summary="Predict",
    response_model=PredictionResource,
    responses={
        200: {
            "model": PredictionResource,
            "description": "Finished within the seconds of Prefer: wait",
        }
    },
    openapi_extra={
        "x-problems": [400, 408, 413, 415, 422, 429, 507],
        "x-headers": {
            "202": ["Location", "Retry-After", "Preference-Applied"],
            "200": ["Location", "Preference-Applied"],
        },
        "x-body": {
            JSON: "PredictionBody",
            FORM: {"request": "PredictionBody"} | dict.fromkeys(PARTS[1:], "npy?"),
        },
        "x-request-headers": ["Prefer"],
    },
)
async def create_prediction(request: Request, service: ServiceNow, tenant: Tenant) -> Response:
    """What infinitely wide networks that learnt `y_train` say of `x_test`: the posterior of a Gaussian
    process, an ensemble trained by gradient flow, or kernel ridge. Its kernels are kernel jobs like
    any others, and the factorisation of the training kernel is kept for the next test inputs. Bodies
    and `Prefer: wait=N` are as those of POST /v1/kernels."""
    only(request)
    wanted = await _read(request, service, tenant)
    record = await service.predictions.create(tenant, wanted)
    seconds = waiting_seconds(request, service.settings.max_wait.total_seconds())
    headers = {"Location": f"/v1/predictions/{record.id}"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds:g}"
        ended = service.predictions.wait(tenant, record.id, seconds)
        record = await while_present(request, ended) or record
        if record.ended:
            return _answer(record, 200, headers)
    return _answer(record, 202, headers | {"Retry-After": "1"})


@router.get("", summary="The predictions, newest first", openapi_extra={"x-problems": [422]})
async def list_predictions(
    request: Request,
    service: ServiceNow,
    tenant: Tenant,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` of the page before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="predictions on one page")] = 50,
) -> PredictionList:
    """A page of predictions; `next` is the cursor of the page after it."""
    only(request, "cursor", "limit")
    if cursor is not None and not ID.fullmatch(cursor):
        raise InvalidRequest("this cursor comes from no page of ours", parameter="cursor")
    records, following = await service.predictions.list(tenant, cursor, limit)
    found = [PredictionResource.of(record) for record in records]
    return PredictionList(predictions=found, next=following)


@router.get(
    "/{prediction_id}",
    summary="One prediction",
    openapi_extra={"x-problems": [404, 422], "x-request-headers": ["Prefer"]},
)
async def get_prediction(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> PredictionResource:
    """Its state, its kernel jobs, its receipt and links. With `Prefer: wait=N` the answer comes when
    it has ended or after N seconds."""
    only(request)
    seconds = waiting_seconds(request, service.settings.max_wait.total_seconds())
    record = await service.predictions.get(tenant, prediction_id)
    if seconds:
        ended = service.predictions.wait(tenant, prediction_id, seconds)
        record = await while_present(request, ended) or record
    return PredictionResource.of(record)


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
    only(request)
    media_type(request, (JSON,))
    read_fields(StateBody, await read_json_body(request, service.settings.max_body_bytes))
    record = await service.predictions.cancel(tenant, prediction_id)
    if record.state != "cancelled":
        raise Conflict(
            f"the prediction is {record.state}; only one that has not ended can be cancelled"
        )
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


async def _read(request: Request, service: Service, tenant: str) -> PredictionRequest:
    """The validated request of a JSON body or a form."""
    limit = service.settings.max_body_bytes
    if media_type(request, (JSON, FORM)) == JSON:
        value = await read_json_body(request, limit)
        return await read_prediction_request(value, {}, tenant, service.datasets)
    parts = await read_form(request, limit, PARTS)
    text = parts.pop("request", None)
    if text is None:
        raise InvalidRequest(
            "the part request is missing: the JSON of the request", pointer="/request"
        )
    value = await read_json_part(text)
    return await read_prediction_request(value, parts, tenant, service.datasets)


def _answer(record: PredictionRecord, status: int, headers: dict[str, str]) -> Response:
    return JSONResponse(PredictionResource.of(record).model_dump(mode="json"), status, headers)
