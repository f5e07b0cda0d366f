"""GET /metrics: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.http.queries import only
from service.metrics import CONTENT_TYPE, exposition
from service.routes.dependencies import ServiceNow

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    openapi_extra={"x-problems": [401, 403, 422], "x-responses": {CONTENT_TYPE: "metrics"}},
)
async def metrics(request: Request, service: ServiceNow) -> Response:
    """Prometheus's text format: requests, jobs, tiles, queue, workers and stores, of all tenants
    together. Once there are keys it takes one of scope metrics, since a tenant's business is not
    the others'."""
    only(request)
    await request.app.state.gate.admit(request.headers.getlist("authorization"), "metrics")
    text = await exposition(service, request.app.state.requests)
    return Response(text, media_type=CONTENT_TYPE)
