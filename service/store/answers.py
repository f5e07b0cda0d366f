"""Records of answers on Redis A: jobs with one task, which waits for kernel jobs."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from service.errors import UnknownJob
from service.store import keys, scripts
from service.store.connection import raw
from service.store.job_fields import decoded, encoded


class AnswerStore:
    """Creates and reads them; what changes them while they run is in `store.scripts`."""

    def __init__(self, client: Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl = ttl

    async def create(
        self,
        ref: str,
        fields: Mapping[str, Any],
        layout: Mapping[str, Any],
        kernels: Sequence[str],
        *,
        listed: bool,
    ) -> bool:
        """Make an answer visible and have it wait for its kernel jobs, all at once.

        kernels: refs. listed: whether it stands on the tenant's list. False when it is there
        already; then nothing is done.
        """
        tenant, answer_id = keys.split(ref)
        name, listing = keys.job(ref), keys.predictions(tenant)
        own = {"tiles_total": 1, "tiles_done": 0, "tiles_computed": 0, "tiles_reused": 0}
        moment = fields["created_at"]
        async with self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(name)
            if await pipe.exists(name):
                return False
            pipe.multi()
            pipe.hset(name, mapping=encoded(dict(fields) | own))
            pipe.expire(name, self._ttl + keys.TOMBSTONE)
            pipe.set(keys.job(ref, "layout"), json.dumps(layout), ex=self._ttl)
            pipe.zadd(keys.LIVE, {ref: moment})
            if listed:
                pipe.zadd(listing, {answer_id: 0})
                pipe.expire(listing, self._ttl + keys.TOMBSTONE)
            ttl = int(self._ttl.total_seconds())
            pipe.hincrby(keys.TALLIES, "jobs:created")
            pipe.eval(scripts.AWAIT, 0, ref, moment, ttl, *kernels)
            try:
                await pipe.execute()
            except WatchError:
                return False
        return True

    async def fields(self, ref: str) -> dict[str, Any]:
        """The stored fields; raises UnknownJob."""
        stored: dict[bytes, bytes] = raw(await self._client.hgetall(keys.job(ref)))
        if not stored:
            raise UnknownJob(keys.split(ref)[1], "prediction")
        return decoded(stored)

    async def page(self, tenant: str, cursor: str | None, limit: int) -> list[str]:
        """Ids of predictions, newest first, from after `cursor` on (ids begin with their time)."""
        top, listing = "+" if cursor is None else f"({cursor}", keys.predictions(tenant)
        found = raw(await self._client.zrevrangebylex(listing, top, "-", 0, limit))
        return [answer_id.decode() for answer_id in found]

    async def forget(self, tenant: str, answer_id: str) -> None:
        """Take an id whose record is gone off the tenant's list."""
        await self._client.zrem(keys.predictions(tenant), answer_id)
