"""Diagnostics and previews of finished kernel jobs, as the API sees them: made once, when asked."""

import asyncio
from datetime import timedelta
from typing import Any, Literal

from redis.asyncio import Redis

from service.answers.answers import Answers
from service.answers.names import answer_digest, matrix_digest
from service.errors import TilesMissing, UnknownJob
from service.jobs.jobs import Jobs
from service.records import JobRecord
from service.store import holding, keys
from service.store.connection import now
from service.store.tenants import Tenants
from service.store.tiles import TileStore

Examination = Literal["diagnostics", "preview"]
# Whoever asks this long after one has failed has it made again: what it failed for may be mended.
AGAIN_S = 60.0
# What the record of one takes, most of it its events; as MEMORY USAGE says (test_bookings.py).
OWN_BYTES = 6_500
LETTERS: dict[Examination, str] = {"diagnostics": keys.DIAGNOSTICS, "preview": keys.PREVIEW}


class Examinations:
    """One answer of each kind a kernel job, under an id that follows from the job's."""

    def __init__(
        self,
        client: Redis,
        answers: Answers,
        jobs: Jobs,
        tenants: Tenants,
        tiles: TileStore,
        ttl: timedelta,
    ) -> None:
        self._client = client
        self._answers = answers
        self._jobs = jobs
        self._tenants = tenants
        self._tiles = tiles
        self._ttl = ttl

    async def fields(self, record: JobRecord, kind: Examination, seconds: float) -> dict[str, Any]:
        """The stored fields of the answer, made now if nobody has asked before (or it failed a while
        ago), as soon as it has ended or after `seconds`. The job must have succeeded."""
        ref = keys.ref(record.tenant, LETTERS[kind] + record.id)
        try:
            fields = await self._answers.fields(ref)
        except UnknownJob:
            # Others may ask first at the same moment: what they began is not deleted.
            await self._start(record, kind, ref)
        else:
            if fields["state"] == "expired" or await self._failed_before(fields):
                await self._answers.delete(ref)
                await self._start(record, kind, ref)
        return await self._answers.wait(ref, seconds)

    async def _failed_before(self, fields: dict[str, Any]) -> bool:
        if fields["state"] != "failed":
            return False
        return await now(self._client) > fields["finished_at"] + AGAIN_S

    async def _start(self, record: JobRecord, kind: Examination, ref: str) -> None:
        secret = await self._tenants.secret(record.tenant)
        layout = await self._jobs.layout(record)
        stored = await self._answers.layout(keys.ref(record.tenant, record.id))
        matrix = await asyncio.to_thread(matrix_digest, secret, layout)
        whole = {
            "architecture": record.architecture,
            "rows1": [],
            "rows2": [],
            "kernels": {"kernel": record.id},
            "result": answer_digest(secret, kind, {"kernel": matrix}),
            "datasets": stored["datasets"],
        }
        await self._answers.start(ref, kind, {"result": whole["result"]}, whole)
        try:
            await holding.note(
                self._client, record.tenant, f"job:{keys.split(ref)[1]}", OWN_BYTES, self._ttl
            )
            await self._jobs.get(record.tenant, record.id)
        except UnknownJob:
            # Deleted meanwhile: its deletion came too early for this.
            await self._answers.delete(ref)
            await holding.unbook(self._client, record.tenant, [f"job:{keys.split(ref)[1]}"])
            raise

    async def content(
        self, record: JobRecord, kind: Examination, base: str, seconds: float
    ) -> bytes:
        """What was made, made again when it was evicted; raises TilesMissing."""
        ref = keys.ref(record.tenant, LETTERS[kind] + record.id)
        place = await self._answers.array(ref, base, kind, seconds)
        stripes = [await self._tiles.read(record.tenant, digest, kind) for digest in place.digests]
        found = [stripe.tobytes() for stripe in stripes if stripe is not None]
        if len(found) < len(stripes):
            raise TilesMissing(1, retry_after=1)
        return b"".join(found)
