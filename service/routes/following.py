"""What is done with a job or a prediction that was made: pages of them, polling one, cancelling one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Literal, Protocol, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from service.http.bodies import JSON, media_type, read_json_body
from service.http.presence import while_present
from service.http.problems import Conflict, InvalidRequest
from service.http.queries import only, waiting_seconds
from service.requests.kernels import read_fields
from service.routes.dependencies import ID
from service.state import Service


class StateBody(BaseModel):
    """The one change of state that a client can make."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["cancelled"] = Field(description="it is not wanted any more")


class Followed(Protocol):
    """What has a state."""

    @property
    def state(self) -> str: ...


Record = TypeVar("Record", bound=Followed)


def cursor_of(
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` of the page before")
    ] = None,
) -> str | None:
    """Where a page begins; raises InvalidRequest for what no page of ours named."""
    if cursor is not None and not ID.fullmatch(cursor):
        raise InvalidRequest("this cursor comes from no page of ours", parameter="cursor")
    return cursor


Cursor = Annotated[str | None, Depends(cursor_of)]


async def polled(
    request: Request,
    service: Service,
    get: Callable[[], Awaitable[Record]],
    wait: Callable[[float], Coroutine[Any, Any, Record]],
) -> Record:
    """The record; with `Prefer: wait=N` when it has ended or after N seconds.

    Args:
        request: of which only the header counts.
        service: has the longest wait.
        get: the record as it is; raises UnknownJob.
        wait: the record as soon as it has ended, or after so many seconds.
    """
    only(request)
    seconds = waiting_seconds(request, service.settings.max_wait.total_seconds())
    record = await get()
    if seconds:
        record = await while_present(request, wait(seconds)) or await get()
    return record


async def cancelled(
    request: Request, service: Service, noun: str, cancel: Callable[[], Awaitable[Record]]
) -> Record:
    """The record, cancelled as the body asks; raises Conflict if it had ended.

    Args:
        request: has a `StateBody`.
        service: has the limit of bodies.
        noun: what the record is called.
        cancel: cancels it unless it has ended, and returns it.
    """
    only(request)
    media_type(request, (JSON,))
    read_fields(StateBody, await read_json_body(request, service.settings.max_body_bytes))
    record = await cancel()
    if record.state != "cancelled":
        raise Conflict(
            f"the {noun} is {record.state}; only one that has not ended can be cancelled"
        )
    return record
