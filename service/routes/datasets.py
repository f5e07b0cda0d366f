"""POST /v1/datasets, GET, PATCH and DELETE /v1/datasets/{id}, PUT /v1/datasets/{id}/parts/{k}: arrays
that several jobs share, uploaded whole or in parts."""

from __future__ import annotations

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.errors import UnknownDataset
from service.http.bodies import FORM, JSON, NPY, OCTETS, media_type, read_json_body
from service.http.content_digest import ContentDigest
from service.http.idempotency import fingerprint
from service.http.problems import Gone, UnknownResource
from service.http.queries import only
from service.requests.datasets import (
    ARRAY_TYPES,
    OpenDatasetBody,
    SealBody,
    read_array,
    read_part,
    read_whole,
)
from service.requests.kernels import read_fields
from service.resources import DatasetResource, OpenDatasetResource
from service.routes.dependencies import DatasetId, IdempotencyKey, ServiceNow, Tenant
from service.state import Service
from service.store.uploads import is_upload, new_id

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

Resource = DatasetResource | OpenDatasetResource
ARRAY = {NPY: "npy", OCTETS: "npy", FORM: {"x": "npy", "mask": "npy?"}}


@router.post(
    "",
    status_code=201,
    summary="Upload an array, or open one for parts",
    response_model=Resource,
    openapi_extra={
        "x-problems": [400, 408, 409, 410, 413, 415, 422, 507],
        "x-headers": {"201": ["Location"]},
        "x-body": {**ARRAY, JSON: "OpenDatasetBody"},
        "x-request-headers": ["Content-Digest", "Idempotency-Key"],
    },
)
async def create_dataset(
    request: Request, service: ServiceNow, tenant: Tenant, key: IdempotencyKey
) -> Response:
    """A `.npy` file as the body, or as the part `x` of a form with an optional part `mask`. The id
    depends on the content, so that uploading the same array again is harmless and answers the same
    resource. With JSON, the shape of an array that is to come in parts: PUT them, then PATCH the
    state to "sealed"."""
    only(request)
    if media_type(request, (*ARRAY_TYPES, JSON), default=NPY) == JSON:
        resource = await _open(request, service, tenant, key)
    else:
        limit = service.settings.max_body_bytes
        parts = await read_array(request, limit, ContentDigest.of(request))
        x, mask = await read_whole(request, parts)
        same = "" if key is None else await run_sync(fingerprint, request.url.path, None, parts)
        async with service.idempotency.once(tenant, key, same, "") as claim:
            # Content-addressed: creating it again is finding it.
            dataset = await service.datasets.create(tenant, x, mask)
            claim.resource = dataset.id
        resource = DatasetResource.of(dataset)
    return JSONResponse(resource.model_dump(mode="json"), 201, {"Location": resource.links["self"]})


async def _open(request: Request, service: Service, tenant: str, key: str | None) -> Resource:
    value = await read_json_body(request, service.settings.max_body_bytes)
    body = read_fields(OpenDatasetBody, value)
    same = fingerprint(request.url.path, value)
    async with service.idempotency.once(tenant, key, same, new_id()) as claim:
        if not claim.replayed:
            await service.uploads.open(
                tenant, tuple(body.shape), body.dtype, body.masked, body.part_rows, claim.resource
            )
    try:
        return await _find(service, tenant, claim.resource)
    except UnknownDataset as error:
        raise Gone("what this Idempotency-Key made is gone; send a new key") from error


@router.get(
    "/{dataset_id}",
    summary="One dataset",
    response_model=Resource,
    openapi_extra={"x-problems": [404, 422]},
)
async def get_dataset(
    request: Request, dataset_id: DatasetId, service: ServiceNow, tenant: Tenant
) -> Resource:
    """Its shape, dtype and digest; of an open one, which parts are there. The id of an open dataset
    leads, once it is sealed, to the dataset that it became."""
    only(request)
    return await _find(service, tenant, dataset_id)


@router.put(
    "/{dataset_id}/parts/{part}",
    status_code=204,
    summary="Upload a part",
    openapi_extra={
        "x-problems": [400, 404, 408, 409, 413, 415, 422, 507],
        "x-body": ARRAY,
        "x-request-headers": ["Content-Digest"],
    },
)
async def put_part(
    request: Request,
    dataset_id: DatasetId,
    part: Annotated[int, Path(ge=0, le=2**40, description="its number, from 0")],
    service: ServiceNow,
    tenant: Tenant,
) -> Response:
    """The rows from part * part_rows on, as `.npy` or as a form with a mask, in any order; a part
    that is sent again takes the place of the first. Content-Digest is required and covers the body
    as it is sent."""
    only(request)
    digest = ContentDigest.required(request)
    upload = await service.uploads.get(tenant, dataset_id)
    if part >= upload.parts:
        raise UnknownResource(
            f"there is no part {part}: this dataset has parts 0 to {upload.parts - 1}"
        )
    parts = await read_array(request, service.settings.max_body_bytes, digest)
    x, mask = await read_part(request, parts, upload, part)
    await service.uploads.fill(tenant, upload, part, x, mask)
    return Response(status_code=204)


@router.patch(
    "/{dataset_id}",
    summary="Seal an open dataset",
    openapi_extra={
        "x-problems": [400, 404, 408, 409, 413, 415, 422, 507],
        "x-headers": {"200": ["Location"]},
        "x-body": {JSON: "SealBody"},
    },
)
async def seal_dataset(
    request: Request, dataset_id: DatasetId, service: ServiceNow, tenant: Tenant, response: Response
) -> DatasetResource:
    """`{"state": "sealed"}`: the answer is the dataset, with the id that the same array would have
    if it had been uploaded whole. Sealing again answers the same; parts that are missing answer 409
    and are named."""
    only(request)
    media_type(request, (JSON,))
    read_fields(SealBody, await read_json_body(request, service.settings.max_body_bytes))
    if is_upload(dataset_id):
        dataset = await service.uploads.seal(tenant, dataset_id)
    else:
        dataset = await service.datasets.get(tenant, dataset_id)
    resource = DatasetResource.of(dataset)
    response.headers["Location"] = resource.links["self"]
    return resource


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
    if is_upload(dataset_id):
        upload = await service.uploads.get(tenant, dataset_id)
        sealed = await service.uploads.delete(tenant, upload)
        if sealed is None:
            return Response(status_code=204)
        dataset_id = sealed
    await service.datasets.delete(tenant, dataset_id)
    return Response(status_code=204)


async def _find(service: Service, tenant: str, dataset_id: str) -> Resource:
    """The resource of an id, of a dataset or of one that is or was open; raises UnknownDataset."""
    if is_upload(dataset_id):
        upload = await service.uploads.get(tenant, dataset_id)
        if upload.dataset is None:
            return OpenDatasetResource.of(upload)
        dataset_id = upload.dataset
    return DatasetResource.of(await service.datasets.get(tenant, dataset_id))
