"""GET /healthz, /readyz: alive, and able to work."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from service.http.problems import NotReady
from service.http.queries import only
from service.resources import Status
from service.routes.dependencies import ServiceNow

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive", openapi_extra={"x-problems": [422]})
async def healthz(request: Request) -> Status:
    """200 while the process answers at all."""
    only(request)
    return Status(status="alive")


@router.get("/readyz", summary="Ready to compute", openapi_extra={"x-problems": [422, 503]})
async def readyz(request: Request, service: ServiceNow) -> Status:
    """200 when both stores answer with the right eviction policies and at least one worker is
    alive."""
    only(request)
    problems = await service.readiness()
    if problems:
        raise NotReady(
            "; ".join(problems), headers={"Retry-After": "2"}, also={"reasons": problems}
        )
    return Status(status="ready")
