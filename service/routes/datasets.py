"""POST /v1/datasets, GET and DELETE /v1/datasets/{id}: arrays that several jobs share."""

from __future__ import annotations

import numpy as np
from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kernels.inputs import read_inputs
from service.arrays import read_npy
from service.bodies import FORM, NPY, OCTETS, media_type, read_body, read_form
from service.kernel_requests import as_body_errors
from service.problems import InvalidRequest
from service.queries import only
from service.resources import DatasetResource
from service.routes.dependencies import DatasetId, ServiceNow, Tenant

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


@router.post(
    "",
    status_code=201,
    summary="Upload an array",
    response_model=DatasetResource,
    openapi_extra={
        "x-problems": [400, 408, 413, 415, 422, 507],
        "x-headers": {"201": ["Location"]},
        "x-body": {NPY: "npy", OCTETS: "npy", FORM: {"x": "npy", "mask": "npy?"}},
    },
)
async def create_dataset(request: Request, service: ServiceNow, tenant: Tenant) -> Response:
    """A `.npy` file as the body, or as the part `x` of a form with an optional part `mask`. The id
    depends on the content, so that uploading the same array again is harmless and answers the same
    resource."""
    only(request)
    # A body that names no type (curl -T) is taken for what it must be.
    kind = media_type(request, (NPY, OCTETS, FORM), default=NPY)
    limit = service.settings.max_body_bytes
    if kind == FORM:
        parts = await read_form(request, limit, ("x", "mask"))
        if "x" not in parts:
            raise InvalidRequest("the part x is missing: a .npy file", pointer="/x")
        x, mask = await run_sync(_read, parts["x"], parts.get("mask"), "/x")
    else:
        x, mask = await run_sync(_read, await read_body(request, limit), None, "")
    dataset = await service.datasets.create(tenant, x, mask)
    resource = DatasetResource.of(dataset)
    return JSONResponse(resource.model_dump(mode="json"), 201, {"Location": resource.links["self"]})


@router.get("/{dataset_id}", summary="One dataset", openapi_extra={"x-problems": [404, 422]})
async def get_dataset(
    request: Request, dataset_id: DatasetId, service: ServiceNow, tenant: Tenant
) -> DatasetResource:
    """Its shape, dtype and digest."""
    only(request)
    return DatasetResource.of(await service.datasets.get(tenant, dataset_id))


@router.delete(
    "/{dataset_id}",
    status_code=204,
    summary="Remove a dataset",
    openapi_extra={"x-problems": [404, 422]},
)
async def delete_dataset(
    request: Request, dataset_id: DatasetId, service: ServiceNow, tenant: Tenant
) -> Response:
    """The data is gone, and so are the tiles made from it. Jobs made from it keep their own rows: those
    that run go on, and what is fetched of those that have ended is computed again."""
    only(request)
    await service.datasets.delete(tenant, dataset_id)
    return Response(status_code=204)


def _read(
    data: bytearray, mask_data: bytearray | None, pointer: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The arrays, checked as a job would check them, in the smallest float type that holds what
    came."""
    x = read_npy(data, pointer)
    mask = None if mask_data is None else read_npy(mask_data, "/mask")
    # 24 bits of mantissa hold float16 and integers of up to 16 bits.
    dtype = "float32" if np.can_cast(x.dtype, np.float32, "safe") else "float64"
    with as_body_errors({"/x1": pointer, "/mask1": "/mask"}):
        inputs = read_inputs(x, mask, dtype=dtype, name="x1")
    return inputs.x, inputs.mask
