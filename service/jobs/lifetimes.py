"""Keeping what unfinished jobs need from expiring under them."""

from datetime import timedelta

from redis.asyncio import Redis

from service.errors import UnknownJob
from service.jobs.blueprint import rows_of
from service.store import keys
from service.store.connection import now, raw
from service.store.inputs import InputStore
from service.store.records import RecordStore
from service.store.renewing import renew_scores


class Lifetimes:
    """Renews a job's record, layout, rows and architecture together."""

    def __init__(
        self, client: Redis, records: RecordStore, inputs: InputStore, ttl: timedelta
    ) -> None:
        self._client = client
        self._records = records
        self._inputs = inputs
        self._ttl = ttl

    async def renew(self, ref: str) -> None:
        """Give the job its full lifetime from now on, and the kernel jobs that it is made of theirs.
        A job deleted meanwhile stays deleted."""
        tenant, job_id = keys.split(ref)
        try:
            layout, _ = await self._records.layout(ref)
        except UnknownJob:
            await self._client.zrem(keys.LIVE, ref)
            return
        await self._inputs.renew(tenant, job_id, layout["architecture"], rows_of(layout))
        moment = await now(self._client)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.expire(keys.job(ref), self._ttl + keys.TOMBSTONE)
            for part in keys.JOB_PARTS:
                pipe.expire(keys.job(ref, part), self._ttl)
            pipe.expire(keys.listing(ref), self._ttl + keys.TOMBSTONE)
            await pipe.execute()
        # A job that has ended meanwhile does not come back to life.
        await renew_scores(self._client, keys.LIVE, [ref], moment)
        for kernel in layout.get("kernels", {}).values():
            await self.renew(keys.ref(tenant, kernel))

    async def renew_live(self) -> None:
        """Renew every unfinished job that has used up a quarter of its lifetime."""
        due = await now(self._client) - self._ttl.total_seconds() / 4
        for ref in raw(await self._client.zrangebyscore(keys.LIVE, "-inf", due)):
            await self.renew(ref.decode())
