"""A POST that makes a job or a prediction: once per Idempotency-Key, answered as Prefer asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from anyio.to_thread import run_sync
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.errors import UnknownJob
from service.http.bodies import read_json_or_form
from service.http.body_room import give_back
from service.http.idempotency import Claim, fingerprint
from service.http.presence import while_present
from service.http.problems import Gone
from service.http.queries import waiting_seconds
from service.records import JobRecord, KernelRequest
from service.requests.kernels import PARTS
from service.resources import KernelResource
from service.state import Service

# What such a route says of itself in openapi.yaml.
HEADERS = {
    "202": ["Location", "Retry-After", "Preference-Applied"],
    "200": ["Location", "Preference-Applied"],
}
REQUEST_HEADERS = ["Prefer", "Idempotency-Key"]


def finished(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The second of a POST's two responses, with a body of this model: its job has ended."""
    return {200: {"model": model, "description": "Finished within the seconds of Prefer: wait"}}


class Waited(Protocol):
    """What is known of something that takes a while."""

    @property
    def id(self) -> str: ...

    @property
    def ended(self) -> bool: ...


Record = TypeVar("Record", bound=Waited)


@dataclass(frozen=True)
class Collection(Generic[Record]):
    """What a POST adds to.

    path: of the collection. parts: the names that a form may have. noun: what one is called.
    make: creates one under an id, of the JSON value of a body and the parts beside it.
    wait: the record as soon as it has ended, or after so many seconds.
    """

    path: str
    noun: str
    parts: tuple[str, ...]
    new_id: Callable[[], Awaitable[str]]
    make: Callable[[Any, dict[str, bytearray], str], Awaitable[Record]]
    get: Callable[[str], Awaitable[Record]]
    wait: Callable[[str, float], Coroutine[Any, Any, Record]]
    show: Callable[[Record], BaseModel]


def kernels(
    service: Service,
    tenant: str,
    read: Callable[[Any, dict[str, bytearray]], Awaitable[KernelRequest]],
) -> Collection[JobRecord]:
    """The tenant's kernel jobs, made of what `read` reads."""

    async def make(value: Any, parts: dict[str, bytearray], job_id: str) -> JobRecord:
        return await service.jobs.create(tenant, await read(value, parts), job_id)

    return Collection(
        path="/v1/kernels",
        noun="job",
        parts=PARTS,
        new_id=service.jobs.new_id,
        make=make,
        get=partial(service.jobs.get, tenant),
        wait=partial(service.jobs.wait, tenant),
        show=KernelResource.of,
    )


async def submit(
    request: Request,
    service: Service,
    tenant: str,
    key: str | None,
    collection: Collection[Record],
) -> Response:
    """Make what the body asks for, or find what the key made before; answer when it has ended, or
    at once, or after the seconds of Prefer."""
    record = await _create(request, service, tenant, key, collection)
    # Whoever waits for an answer keeps no input in memory.
    give_back(request)
    seconds = waiting_seconds(request, service.settings.max_wait.total_seconds())
    headers = {"Location": f"{collection.path}/{record.id}"}
    status = 202
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds:g}"
        ended = await while_present(request, collection.wait(record.id, seconds))
        record = ended or await collection.get(record.id)
        status = 200 if record.ended else 202
    if status == 202:
        headers["Retry-After"] = "1"
    return JSONResponse(collection.show(record).model_dump(mode="json"), status, headers)


async def _create(
    request: Request,
    service: Service,
    tenant: str,
    key: str | None,
    collection: Collection[Record],
) -> Record:
    limit = service.settings.max_body_bytes
    value, parts = await read_json_or_form(request, limit, collection.parts)
    same = "" if key is None else await run_sync(fingerprint, request.url.path, value, parts)
    proposed = await collection.new_id()
    async with service.idempotency.once(tenant, key, same, proposed) as claim:
        made = await _made(collection, claim)
        if made is None:
            made = await collection.make(value, parts, claim.resource)
        return made


async def _made(collection: Collection[Record], claim: Claim) -> Record | None:
    """What an earlier request with the key made, if there was one and it got that far."""
    if not claim.replayed and not claim.again:
        return None
    try:
        return await collection.get(claim.resource)
    except UnknownJob as error:
        if claim.replayed:
            raise Gone(
                f"the {collection.noun} that this Idempotency-Key made is gone; send a new key"
            ) from error
        return None
