"""GET /v1/layers and /v1/limits: what can be asked for."""

from __future__ import annotations

from functools import cache
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kernels.registry import mechanisms, vocabulary
from service.access import path_tokens
from service.http import arrays, bodies, idempotency
from service.http.bodies import JSON
from service.http.queries import only
from service.requests import bounds as bounds_requests
from service.resources import Layers, LayerType, Limits
from service.routes.dependencies import ServiceNow
from service.store import uploads

router = APIRouter(prefix="/v1", tags=["vocabulary"])


@router.get("/layers", summary="The layers", openapi_extra={"x-problems": [422]})
async def layers(request: Request) -> Layers:
    """Every layer type: the JSON Schema of its parameters with their defaults, whether its kernel
    is exact or estimated, its equation and its source."""
    only(request)
    # A response is sent as it is; a model would be checked and written anew each time.
    return cast("Layers", Response(_layers(), media_type=JSON))


@cache
def _layers() -> bytes:
    """The body of GET /v1/layers, made once: nothing in it changes while the process lives."""
    return (
        Layers(
            layers=[LayerType.model_validate(layer) for layer in vocabulary()],
            mechanisms=[LayerType.model_validate(mechanism) for mechanism in mechanisms()],
        )
        .model_dump_json(by_alias=True)
        .encode()
    )


@router.get("/limits", summary="The limits in force", openapi_extra={"x-problems": [422]})
async def limits(request: Request, service: ServiceNow) -> Limits:
    """Every limit by the name and in the unit (_bytes, _s) that problem documents use."""
    only(request)
    modules = (bodies, arrays, bounds_requests, uploads, idempotency, path_tokens)
    fixed = {name: value for module in modules for name, value in module.LIMITS.items()}
    return Limits(limits=await service.limits() | fixed)
