"""POST /v1/bounds: Lipschitz bounds of an L2 attention layer."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.requests import Request

from service.http.bodies import json_or_form, read_json_or_form
from service.http.queries import only
from service.requests.bounds import PARTS, BoundsBody, BoundsResource, answer
from service.requests.kernels import read_fields
from service.routes.dependencies import ServiceNow

router = APIRouter(prefix="/v1", tags=["bounds"])


@router.post(
    "/bounds",
    summary="Bound the Lipschitz constant of L2 attention",
    openapi_extra={
        "x-problems": [400, 408, 413, 415, 422],
        "x-body": json_or_form("BoundsBody", PARTS),
    },
)
async def bounds(request: Request, service: ServiceNow) -> BoundsResource:
    """Upper bounds, in the 2-norm and the infinity-norm of all entries of an input together, of how
    much L2 multi-head self-attention with tied queries and keys can change its output: for given
    weights, `wq` (H, D, d_k), `wv` (H, D, d_v) and `wo` (H d_v, outputs), or for Gaussian ones. The
    answer states exactly what its numbers are. Nothing is stored."""
    only(request)
    value, parts = await read_json_or_form(request, service.settings.max_body_bytes, PARTS)
    return await run_sync(answer, read_fields(BoundsBody, value), parts)
