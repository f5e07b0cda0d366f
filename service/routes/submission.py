"""A POST that makes a job: once per Idempotency-Key, answered as Prefer asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.bodies import read_json_or_form
from service.body_room import give_back
from service.errors import UnknownJob
from service.idempotency import Claim, fingerprint
from service.kernel_requests import PARTS
from service.presence import while_present
from service.problems import Gone
from service.queries import waiting_seconds
from service.records import JobRecord, KernelRequest
from service.resources import KernelResource
from service.state import Service

# What such a route says of itself in openapi.yaml.
HEADERS = {
    "202": ["Location", "Retry-After", "Preference-Applied"],
    "200": ["Location", "Preference-Applied"],
}
REQUEST_HEADERS = ["Prefer", "Idempotency-Key"]
# A request of the JSON value of a body and the parts beside it.
Make = Callable[[Any, dict[str, bytearray]], Awaitable[KernelRequest]]
FINISHED: dict[int | str, dict[str, Any]] = {
    200: {"model": KernelResource, "description": "Finished within the seconds of Prefer: wait"}
}


async def submit(
    request: Request, service: Service, tenant: str, key: str | None, make: Make
) -> Response:
    """Make the job that `make` reads in the body, or find the one that the key made before; answer
    when it has ended, or at once, or after the seconds of Prefer."""
    record = await _create(request, service, tenant, key, make)
    # Whoever waits for an answer keeps no input in memory.
    give_back(request)
    seconds = waiting_seconds(request, service.settings.max_wait.total_seconds())
    headers = {"Location": f"/v1/kernels/{record.id}"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds:g}"
        ended = service.jobs.wait(tenant, record.id, seconds)
        record = await while_present(request, ended) or record
        if record.ended:
            return _answer(record, 200, headers)
    return _answer(record, 202, headers | {"Retry-After": "1"})


async def _create(
    request: Request, service: Service, tenant: str, key: str | None, make: Make
) -> JobRecord:
    value, parts = await read_json_or_form(request, service.settings.max_body_bytes, PARTS)
    same = "" if key is None else await run_sync(fingerprint, request.url.path, value, parts)
    proposed = await service.jobs.new_id()
    async with service.idempotency.once(tenant, key, same, proposed) as claim:
        made = await _made(service, tenant, claim)
        if made is None:
            made = await service.jobs.create(tenant, await make(value, parts), claim.resource)
        return made


async def _made(service: Service, tenant: str, claim: Claim) -> JobRecord | None:
    """The job that an earlier request with the key made, if there was one and it got that far."""
    if not claim.replayed and not claim.again:
        return None
    try:
        return await service.jobs.get(tenant, claim.resource)
    except UnknownJob as error:
        if claim.replayed:
            raise Gone("the job that this Idempotency-Key made is gone; send a new key") from error
        return None


def _answer(record: JobRecord, status: int, headers: dict[str, str]) -> Response:
    return JSONResponse(KernelResource.of(record).model_dump(mode="json"), status, headers)
