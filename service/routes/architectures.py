"""POST /v1/architectures: check a network without computing anything."""

from __future__ import annotations

import math
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from kernels.architecture import describe
from service.http.bodies import JSON, media_type, read_json_body
from service.http.problems import InvalidRequest
from service.http.queries import only
from service.requests.kernels import as_body_errors, read_architecture, read_fields
from service.resources import ArchitectureResource
from service.routes.dependencies import ServiceNow

router = APIRouter(prefix="/v1", tags=["architectures"])


class ArchitectureBody(BaseModel):
    """A network and, if it is to be checked against one, the shape of one input."""

    model_config = ConfigDict(extra="forbid", strict=True)

    architecture: dict[str, Any] = Field(description='the network, {"layers": [...]}')
    input_shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="of one input, without the batch axis: [d], [T, d], [H, W, C] or [D, H, W, C]",
    )


@router.post(
    "/architectures",
    summary="Check an architecture",
    openapi_extra={
        "x-problems": [400, 408, 413, 415, 422],
        "x-body": {JSON: "ArchitectureBody"},
    },
)
async def architectures(request: Request, service: ServiceNow) -> ArchitectureResource:
    """The canonical form (defaults filled in, `repeat` expanded) and its digest, which two
    spellings of one network share; with `input_shape`, what comes out for such an input. Nothing is
    stored."""
    only(request)
    media_type(request, (JSON,))
    body = read_fields(
        ArchitectureBody, await read_json_body(request, service.settings.max_body_bytes)
    )
    if body.input_shape is not None:
        _check_size(body.input_shape, service.settings.max_body_bytes)
    return await run_sync(_resource, body)


def _check_size(shape: list[int], limit: int) -> None:
    """Refuses shapes that no request could bring, before anything is derived from them."""
    size = 4 * math.prod(shape)
    if size > limit:
        raise InvalidRequest(
            "one float32 input of this shape is larger than a request's body may be",
            pointer="/input_shape",
            limit=limit,
            # JSON readers lose digits of larger integers, and nobody needs them.
            actual=min(size, 2**53),
            also={"limit_name": "max_body_bytes"},
        )


def _resource(body: ArchitectureBody) -> ArchitectureResource:
    architecture = read_architecture(body.architecture)
    description: dict[str, Any] | None = None
    if body.input_shape is not None:
        with as_body_errors():
            description = describe(architecture, tuple(body.input_shape)).as_dict()
    return ArchitectureResource(
        architecture=architecture.canonical(),
        digest=architecture.digest,
        warnings=list(architecture.warnings),
        description=description,
    )
