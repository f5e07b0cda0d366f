"""Answers of every kind, as the API sees them: start, wait for, fetch, cancel, delete."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

from service import tracing
from service.errors import TilesMissing, UnknownJob
from service.jobs.events import Events
from service.jobs.lifetimes import Lifetimes
from service.logs import request_id
from service.queue.dispatch import Dispatch
from service.queue.tasks import AnswerKind
from service.records import ENDED
from service.settings import Settings
from service.store import keys
from service.store.answers import AnswerStore
from service.store.arrays import ArrayStore, StoredArray
from service.store.connection import now
from service.store.records import RecordStore


class Answers:
    """Jobs of one task that waits for kernel jobs. One per process, as `service.jobs.jobs.Jobs`."""

    def __init__(
        self,
        *,
        client: Redis,
        store: AnswerStore,
        records: RecordStore,
        arrays: ArrayStore,
        dispatch: Dispatch,
        events: Events,
        lifetimes: Lifetimes,
        settings: Settings,
    ) -> None:
        self._client = client
        self._store = store
        self._records = records
        self._arrays = arrays
        self._dispatch = dispatch
        self._events = events
        self._lifetimes = lifetimes
        self._ttl = settings.job_ttl.total_seconds()

    async def start(
        self,
        ref: str,
        kind: AnswerKind,
        fields: Mapping[str, Any],
        layout: Mapping[str, Any],
        *,
        listed: bool = False,
    ) -> None:
        """Create an answer; its task is queued as soon as the kernel jobs in `layout["kernels"]`
        (ids by role) are done. What is there already is left as it is."""
        tenant, answer_id = keys.split(ref)
        moment = await now(self._client)
        whole = {
            "id": answer_id,
            "tenant": tenant,
            "state": "queued",
            "queue_task": {"answer": kind, "request": request_id(), "trace": tracing.here()},
            "created_at": moment,
            "expires_at": moment + self._ttl,
            **fields,
        }
        kernels = [keys.ref(tenant, kernel) for kernel in layout["kernels"].values()]
        if await self._store.create(ref, whole, layout, kernels, listed=listed):
            await self._dispatch.pump()

    async def fields(self, ref: str) -> dict[str, Any]:
        """The stored fields; its state is "expired" once it is. Raises UnknownJob."""
        fields = await self._store.fields(ref)
        ended = fields["state"] in ENDED
        if ended and await now(self._client) > fields["expires_at"]:
            fields["state"] = "expired"
        return fields

    async def wait(self, ref: str, seconds: float) -> dict[str, Any]:
        """The fields as soon as it has ended, or after `seconds`; raises UnknownJob."""
        deadline = time.monotonic() + seconds
        # Listening begins before the record is read: what happens after it is not missed.
        async with self._events.listen(ref) as listener:
            fields = await self.fields(ref)
            while fields["state"] not in ENDED and (left := deadline - time.monotonic()) > 0:
                await listener.next(left)
                fields = await self.fields(ref)
        return fields

    async def layout(self, ref: str) -> dict[str, Any]:
        """What it is made of; raises UnknownJob."""
        return (await self._records.layout(ref))[0]

    async def array(self, ref: str, base: str, name: str, seconds: float) -> StoredArray:
        """An array of an answer that has succeeded, made again when it was evicted.

        Raises TilesMissing when it is not there after `seconds`; it is being made then.
        """
        tenant, answer_id = keys.split(ref)
        deadline = time.monotonic() + seconds
        async with self._events.listen(ref) as listener:
            found = await self._arrays.find(tenant, base, name)
            if found is None:
                await self._dispatch.refill(ref, [json.dumps(["0", answer_id, "", ""])])
            while found is None and (left := deadline - time.monotonic()) > 0:
                await listener.next(left)
                found = await self._arrays.find(tenant, base, name)
                if (await self.fields(ref))["state"] == "expired":
                    break  # it cannot be made again
        if found is None:
            raise TilesMissing(1)
        return found

    async def cancel(self, ref: str) -> None:
        """Stop it unless it has ended."""
        for ended in await self._dispatch.cancel(ref):
            await self._lifetimes.renew(ended)

    async def delete(self, ref: str) -> None:
        """Forget it; its arrays live out their time in the tile store."""
        await self._dispatch.delete(ref)

    async def page(
        self, tenant: str, cursor: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        """Ids of a page of the tenant's predictions, newest first, and the cursor of the next."""
        ids = await self._store.page(tenant, cursor, limit + 1)
        return ids[:limit], ids[limit - 1] if len(ids) > limit else None

    async def forget(self, tenant: str, ids: Iterable[str]) -> None:
        """Take ids whose records are gone off the list."""
        for answer_id in ids:
            await self._store.forget(tenant, answer_id)


def prediction_ref(tenant: str, answer_id: str) -> str:
    """The reference of a prediction's id; raises UnknownJob for what can be none."""
    if not (answer_id.isalnum() and answer_id.startswith(keys.PREDICTION)):
        raise UnknownJob(answer_id, "prediction")
    return keys.ref(tenant, answer_id)
