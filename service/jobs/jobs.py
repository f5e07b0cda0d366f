"""Kernel jobs, as the API sees them: create, look up, wait for, list, cancel, delete, lay out."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis

from kernels.plan.tiles import TilePlan
from service import tracing
from service.errors import TilesMissing, UnknownJob
from service.jobs import blueprint
from service.jobs.admission import check_request, check_result
from service.jobs.drafts import Draft, Drafts
from service.jobs.events import Events
from service.jobs.first_fields import add_cached, first_fields
from service.jobs.large_results import give_back, room_for
from service.jobs.lifetimes import Lifetimes
from service.logs import get_logger
from service.queue.dispatch import Dispatch
from service.records import ENDED, JobRecord, KernelRequest, Layout
from service.settings import Settings
from service.store import holding, keys
from service.store.connection import ceiling, now, store_with_room
from service.store.datasets import DatasetStore
from service.store.inputs import InputStore
from service.store.records import RecordStore
from service.store.tiles import TileStore

log = get_logger(__name__)


class Jobs:
    """The jobs of all tenants. One per process, owned by `service.state.open_service`."""

    def __init__(
        self,
        *,
        tiles_client: Redis,
        client: Redis,
        records: RecordStore,
        inputs: InputStore,
        datasets: DatasetStore,
        tiles: TileStore,
        drafts: Drafts,
        dispatch: Dispatch,
        events: Events,
        lifetimes: Lifetimes,
        settings: Settings,
    ) -> None:
        self._tiles_client = tiles_client
        self._client = client
        self._records = records
        self._inputs = inputs
        self._datasets = datasets
        self._tiles = tiles
        self._drafts = drafts
        self._dispatch = dispatch
        self._events = events
        self._lifetimes = lifetimes
        self._settings = settings

    async def new_id(self) -> str:
        """An id for a new job."""
        return keys.new_id(keys.KERNEL, await now(self._client))

    async def create(
        self, tenant: str, request: KernelRequest, job_id: str | None = None
    ) -> JobRecord:
        """Store the inputs, plan the tiles, count those cached already, and queue the first ones.

        `job_id` is one of `new_id`, for who needs to know it beforehand.
        Raises OverLimit when the request, its result or what the tenant holds is too large, or
        when too many jobs are unfinished; then nothing is left behind.
        """
        async with store_with_room(self._client):
            with tracing.span("create job") as span:
                record = await self._create(tenant, request, job_id or await self.new_id())
                span.set_attribute("gramd.job", record.id)
                span.set_attribute("gramd.tiles", record.tiles_total)
                span.set_attribute("gramd.tiles_reused", record.tiles_reused)
                return record

    async def _create(self, tenant: str, request: KernelRequest, job_id: str) -> JobRecord:
        check_request(request, await self._records.unfinished(tenant), self._settings)
        maximum = await ceiling(self._tiles_client)
        drawn = await self._drafts.blueprint(tenant, request, maximum)
        check_result(drawn, self._settings, maximum)
        draft = await self._drafts.take(tenant, request, drawn)
        await self._store(tenant, job_id, request, draft)
        log.info("job created", job=job_id, tiles=len(drawn.digests), reused=len(draft.cached))
        if draft.missing:
            await self._dispatch.pump()
        return await self._records.read(keys.ref(tenant, job_id))

    async def _store(self, tenant: str, job_id: str, request: KernelRequest, draft: Draft) -> None:
        """Store the job with its inputs, all of it or nothing; raises OverLimit (quotas)."""
        drawn, missing = draft.blueprint, draft.missing
        moment = await now(self._client)
        fields = await asyncio.to_thread(
            first_fields, tenant, job_id, request, draft, moment, self._settings
        )
        if not missing:
            meta = await self._tiles.meta(tenant, drawn.digests[0]) or {}
            add_cached(fields, meta, moment)
        stored = await asyncio.to_thread(drawn.stored, request, missing)
        document = (request.architecture.digest, request.architecture.canonical_json())
        ref = keys.ref(tenant, job_id)
        async with (
            room_for(self._tiles, tenant, job_id, drawn, missing),
            self._inputs.put(tenant, job_id, document, drawn.rows, stored.nbytes),
        ):
            # Before the first of them is made, so that deleting a dataset misses none.
            await self._datasets.remember(tenant, request.datasets, drawn.digests)
            try:
                await self._records.write(
                    ref, fields, draft.errors, stored.layout, stored.pending, draft.cached
                )
            except BaseException:
                # It may have been written, and only the news of that been lost.
                await self._dispatch.delete(ref)
                raise

    async def get(self, tenant: str, job_id: str) -> JobRecord:
        """The job's record; raises UnknownJob."""
        return await self._records.read(_ref(tenant, job_id))

    async def wait(self, tenant: str, job_id: str, seconds: float) -> JobRecord:
        """The record as soon as the job has ended, or after `seconds`; raises UnknownJob."""
        ref = _ref(tenant, job_id)
        deadline = time.monotonic() + seconds
        # Listening begins before the record is read: what happens after it is not missed.
        async with self._events.listen(ref) as listener:
            record = await self._records.read(ref)
            while not record.ended and (left := deadline - time.monotonic()) > 0:
                event = await listener.next(left)
                if event is not None and event.state in ENDED:
                    break
            return await self._records.read(ref)

    async def list(
        self, tenant: str, cursor: str | None, limit: int
    ) -> tuple[list[JobRecord], str | None]:
        """A page of the tenant's jobs, newest first, and the cursor of the next page."""
        ids = await self._records.page(tenant, cursor, limit + 1)
        found: list[JobRecord] = []
        for job_id in ids[:limit]:
            try:
                found.append(await self._records.read(_ref(tenant, job_id)))
            except UnknownJob:
                await self._records.forget(tenant, job_id)
        return found, ids[limit - 1] if len(ids) > limit else None

    async def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """Stop an unfinished job; its finished tiles can be had for its lifetime from now on. A job
        that has ended stays as it is.

        Raises UnknownJob.
        """
        ref = _ref(tenant, job_id)
        await self._records.read(ref)
        for ended in await self._dispatch.cancel(ref):
            await self._lifetimes.renew(ended)
        return await self._records.read(ref)

    async def delete(self, tenant: str, job_id: str) -> None:
        """Forget the job, stopping it first when it is unfinished; raises UnknownJob."""
        ref = _ref(tenant, job_id)
        await self._records.read(ref)
        ended = await self._dispatch.cancel(ref)
        try:
            stored: dict[str, Any] = (await self._records.layout(ref))[0]
        except UnknownJob:  # expired: its rows are gone, the record is all that is left
            stored = {"architecture": None, "rows1": [], "rows2": [], "digests": []}
        # What was made of the job goes with it.
        made = [letter + job_id for letter in keys.EXAMINATIONS]
        ended |= await self._dispatch.delete(ref, *(keys.ref(tenant, name) for name in made))
        await holding.unbook(self._client, tenant, [f"job:{name}" for name in made])
        rows = blueprint.rows_of(stored)
        await self._inputs.release(tenant, job_id, stored["architecture"], rows)
        await give_back(self._tiles, self._records, tenant, job_id, stored["digests"])
        # Those that ended with it are kept from now on, as their records say.
        for other in ended:
            await self._lifetimes.renew(other)

    async def layout(self, record: JobRecord) -> Layout:
        """Where the job's tiles are; raises UnknownJob when they are not known any more."""
        stored, done = await self._records.layout(keys.ref(record.tenant, record.id))
        plan = await asyncio.to_thread(TilePlan.from_json, stored["plan"])
        return Layout(record, plan, tuple(stored["digests"]), done)

    async def ensure_tiles(self, layout: Layout, tiles: Iterable[int], seconds: float) -> None:
        """See to it that the tiles are in the store, computing those again that were evicted.

        `tiles` are indices of finished tiles. Raises TilesMissing when they are not all there
        after `seconds`; they are being computed then.
        """
        wanted = sorted(set(tiles))
        ref = _ref(layout.record.tenant, layout.record.id)
        deadline = time.monotonic() + seconds
        # Listening begins before anything is asked for: what happens after that is not missed.
        async with self._events.listen(ref) as listener:
            missing = await self.recompute(layout, wanted)
            if not missing:
                return
            while missing and (left := deadline - time.monotonic()) > 0:
                await listener.next(left)
                missing = await self._missing(layout, missing)
                if (await self._records.read(ref)).state == "expired":
                    break  # they cannot be computed again
        # An early tile can be gone again by the time the last one is there.
        missing = await self._missing(layout, wanted)
        if missing:
            raise TilesMissing(len(missing))

    async def recompute(self, layout: Layout, tiles: Iterable[int]) -> Sequence[int]:
        """Have those of the finished tiles that were evicted computed again; returns them."""
        ref = _ref(layout.record.tenant, layout.record.id)
        missing = await self._missing(layout, sorted(set(tiles)))
        if missing:
            stored, _ = await self._records.layout(ref)
            entries = await asyncio.to_thread(
                blueprint.pending_entries,
                layout.plan, layout.digests, stored["rows1"], stored["rows2"], missing,
            )  # fmt: skip
            await self._dispatch.refill(ref, entries)
        return missing

    async def _missing(self, layout: Layout, tiles: Sequence[int]) -> Sequence[int]:
        digests = [layout.digests[index] for index in tiles]
        there = await self._tiles.renew(layout.record.tenant, digests)
        return [index for index, found in zip(tiles, there, strict=True) if not found]


def _ref(tenant: str, job_id: str) -> str:
    # Ids are letters and digits, the first of which says of what: others could name a part of another
    # job, or an answer.
    if not (job_id.isalnum() and job_id.startswith(keys.KERNEL)):
        raise UnknownJob(job_id)
    return keys.ref(tenant, job_id)
