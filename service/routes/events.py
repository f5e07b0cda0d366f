"""GET /v1/kernels/{id}/events and /v1/predictions/{id}/events: progress as Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.http.bodies import EVENTS
from service.http.presence import stopping, while_serving
from service.http.problems import InvalidRequest
from service.http.queries import bodiless, head_only, negotiate, only
from service.records import ENDED, JobEvent, event_order
from service.results.available import check_expired
from service.routes.dependencies import JobId, PredictionId, ServiceNow, Tenant, streaming_place
from service.state import Service
from service.store import keys

router = APIRouter(prefix="/v1")

# Proxies close connections that are silent for a minute or half of one.
HEARTBEAT = timedelta(seconds=15)
# A reader sees no use in more; what happens in between is in the next event.
PACE = timedelta(seconds=0.1)
# What a browser waits before it connects again.
RETRY = timedelta(seconds=2)
_EVENT_ID = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")


ABOUT: dict[str, Any] = {
    "dependencies": [Depends(streaming_place)],
    "response_class": Response,
    "responses": {204: {"description": "It has ended and there is nothing after Last-Event-ID"}},
    "openapi_extra": {
        "x-problems": [404, 406, 410, 422],
        "x-responses": {EVENTS: "events"},
        "x-request-headers": ["Last-Event-ID"],
    },
}


@router.get("/kernels/{job_id}/events", tags=["kernels"], summary="Follow a job", **ABOUT)
async def get_events(
    request: Request, job_id: JobId, service: ServiceNow, tenant: Tenant
) -> Response:
    """`text/event-stream`: `event: state` when the state has changed, `event: progress` otherwise,
    with `data: {"state", "tiles_done", "tiles_total"}`. It begins with where the job is, or with
    what came after Last-Event-ID, and ends with the job; a client that connects again then is
    answered 204, which tells it to stop. Comments keep the connection open."""
    after = _resumed(request)
    record = await service.jobs.get(tenant, job_id)
    check_expired(record)
    return await _response(request, service, keys.ref(tenant, job_id), after, ended=record.ended)


@router.get(
    "/predictions/{prediction_id}/events",
    tags=["predictions"],
    summary="Follow a prediction",
    **ABOUT,
)
async def get_prediction_events(
    request: Request, prediction_id: PredictionId, service: ServiceNow, tenant: Tenant
) -> Response:
    """As those of a kernel job. The tiles are those of all its kernels; once they are all done it is
    being solved, and its state says when that has come to its end."""
    after = _resumed(request)
    record = await service.predictions.get(tenant, prediction_id)
    check_expired(record, "prediction")
    return await _response(request, service, keys.ref(tenant, record.id), after, ended=record.ended)


def _resumed(request: Request) -> str | None:
    """Last-Event-ID, of a request that accepts events."""
    only(request)
    negotiate(request, (EVENTS,))
    after = request.headers.get("last-event-id") or None
    if after is not None and not _EVENT_ID.fullmatch(after):
        raise InvalidRequest(
            f"expected the id of an event of this job, got {after[:60]!r}",
            parameter="Last-Event-ID",
        )
    return after


async def _response(
    request: Request, service: Service, ref: str, after: str | None, *, ended: bool
) -> Response:
    """What came after the event `after`, or the newest event, and all that follows."""
    if after is not None and ended:
        newest = await service.records.newest_event(ref)
        if newest is None or newest.order <= event_order(after):
            return Response(status_code=204)
    headers = {"Content-Type": EVENTS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if head_only(request):
        return bodiless(headers)
    return StreamingResponse(_stream(request, service, ref, after), 200, headers)


async def _stream(
    request: Request, service: Service, ref: str, after: str | None
) -> AsyncIterator[bytes]:
    """The stream's bytes; closing it at any point leaves nothing behind. It ends with the process,
    too: a client that connects again goes on where it was."""
    async with service.events.listen(ref) as listener:
        yield f"retry: {round(RETRY.total_seconds() * 1000)}\n\n".encode()
        told: JobEvent | None = None
        for event in await _missed(service, ref, after):
            if event.id != after:
                yield _message(event, told)
            listener.caught_up(event)
            told = event
        while told is None or told.state not in ENDED:
            event = await while_serving(request, listener.next(HEARTBEAT.total_seconds()))
            if stopping(request).is_set():
                return
            if event is not None:
                yield _message(event, told)
                told = event
                await asyncio.sleep(PACE.total_seconds())
                continue
            if not await service.records.exists(ref):
                return  # deleted, record and stream
            yield b": the job goes on\n\n"


async def _missed(service: Service, ref: str, after: str | None) -> list[JobEvent]:
    """What the client has not seen yet, and before it the last that it has, if that is known."""
    if after is None:
        newest = await service.records.newest_event(ref)
        return [] if newest is None else [newest]
    seen = await service.records.newest_event(ref, last=after)
    known = [seen] if seen is not None and seen.id == after else []
    return known + await service.records.events(ref, after)


def _message(event: JobEvent, told: JobEvent | None) -> bytes:
    kind = "progress" if told is not None and told.state == event.state else "state"
    done, total = event.tiles_done, event.tiles_total
    data = json.dumps({"state": event.state, "tiles_done": done, "tiles_total": total})
    return f"id: {event.id}\nevent: {kind}\ndata: {data}\n\n".encode()
