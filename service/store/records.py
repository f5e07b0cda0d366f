"""Job records on Redis A: a hash per job, its layout, its events, and each tenant's list."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from redis.asyncio import Redis

from service.errors import UnknownJob
from service.records import JobEvent, JobRecord
from service.store import keys
from service.store.connection import raw, seconds_of
from service.store.counts import UNFINISHED
from service.store.job_fields import KernelFields, decoded, encoded, error_fields, errors_in


class RecordStore:
    """Reads and writes records; what changes them while they run is in `store.scripts`."""

    def __init__(self, client: Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl = ttl

    async def write(
        self,
        ref: str,
        fields: KernelFields,
        errors: Mapping[str, float],
        layout: str,
        pending: list[str],
        done: list[int],
    ) -> None:
        """Make a job visible, all at once: record, errors of tiles done, layout, tiles to do and tiles
        done."""
        tenant, job_id = keys.split(ref)
        turn = await self._client.incr(keys.TURN) if pending else 0
        async with self._client.pipeline(transaction=True) as pipe:
            stored = encoded({**fields, **error_fields(errors)})
            pipe.hset(keys.job(ref), mapping=stored)
            pipe.expire(keys.job(ref), self._ttl + keys.TOMBSTONE)
            pipe.set(keys.job(ref, "layout"), layout, ex=self._ttl)
            if done:
                pipe.sadd(keys.job(ref, "done"), *done)
                pipe.expire(keys.job(ref, "done"), self._ttl)
            pipe.zadd(keys.jobs(tenant), {job_id: 0})
            pipe.expire(keys.jobs(tenant), self._ttl + keys.TOMBSTONE)
            state: dict[Any, Any] = {
                name: stored[name] for name in ("state", "tiles_done", "tiles_total")
            }
            pipe.xadd(keys.job(ref, "events"), state)
            pipe.expire(keys.job(ref, "events"), self._ttl)
            if pending:
                pipe.rpush(keys.job(ref, "pending"), *pending)
                pipe.expire(keys.job(ref, "pending"), self._ttl)
                pipe.zadd(keys.RING, {ref: turn})
                pipe.zadd(keys.LIVE, {ref: fields["created_at"]})
            pipe.hincrby(keys.TALLIES, "jobs:created")
            if done:
                pipe.hincrby(keys.TALLIES, "tiles:reused", len(done))
            if fields["state"] == "succeeded":
                pipe.hincrby(keys.TALLIES, "jobs:succeeded")
            await pipe.execute()

    async def read(self, ref: str) -> JobRecord:
        """The record as it stands; raises UnknownJob."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.job(ref))
            pipe.time()
            stored, moment = await pipe.execute()
        if not stored:
            raise UnknownJob(keys.split(ref)[1])
        fields = decoded(stored)
        return _record(cast("KernelFields", fields), errors_in(fields), seconds_of(moment))

    async def exists(self, ref: str) -> bool:
        """Whether there is a record, of a job or of an answer."""
        return bool(await self._client.exists(keys.job(ref)))

    async def layout(self, ref: str) -> tuple[dict[str, Any], frozenset[int]]:
        """The stored layout and the indices of finished tiles; raises UnknownJob."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(keys.job(ref, "layout"))
            pipe.smembers(keys.job(ref, "done"))
            layout, done = await pipe.execute()
        if layout is None:
            raise UnknownJob(keys.split(ref)[1])
        return json.loads(layout), frozenset(int(index) for index in done)

    async def events(self, ref: str, after: str = "-", last: str = "+") -> list[JobEvent]:
        """The job's events, oldest first, after the id `after` and up to `last`."""
        start = after if after == "-" else f"({after}"
        found = raw(await self._client.xrange(keys.job(ref, "events"), start, last))
        return [_event(*entry) for entry in found]

    async def newest_event(self, ref: str, last: str = "+") -> JobEvent | None:
        """The job's newest event, or the newest up to the id `last`."""
        found = raw(await self._client.xrevrange(keys.job(ref, "events"), last, count=1))
        return _event(*found[0]) if found else None

    async def newest_events(self, refs: Sequence[str]) -> list[JobEvent | None]:
        """The newest event of each job, in one round trip."""
        async with self._client.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.xrevrange(keys.job(ref, "events"), count=1)
            found = await pipe.execute()
        return [_event(*entries[0]) if entries else None for entries in found]

    async def page(self, tenant: str, cursor: str | None, limit: int) -> list[str]:
        """Ids of jobs, newest first, from after `cursor` on (ids begin with their time)."""
        top = "+" if cursor is None else f"({cursor}"
        found = raw(await self._client.zrevrangebylex(keys.jobs(tenant), top, "-", 0, limit))
        return [job_id.decode() for job_id in found]

    async def forget(self, tenant: str, job_id: str) -> None:
        """Take an id whose record is gone off the tenant's list."""
        await self._client.zrem(keys.jobs(tenant), job_id)

    async def seconds_left(self, most: int) -> list[float | None]:
        """Of unfinished kernel jobs, at most so many: the seconds that all workers would take for the
        rest of each alone, None where no pace was known when it was made."""
        live = raw(await self._client.zrange(keys.LIVE, 0, most - 1))
        refs = [ref for ref in live if keys.split(ref.decode())[1].startswith(keys.KERNEL)]
        async with self._client.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hmget(keys.job(ref.decode()), "alone_s", "tiles_done", "tiles_total")
            found: list[list[bytes | None]] = await pipe.execute()
        return [_seconds_left(*map(_number, values)) for values in found]

    async def unfinished(self, tenant: str) -> int:
        """How many jobs of the tenant are queued or running."""
        return int(await self._client.register_script(UNFINISHED)(keys=[keys.LIVE], args=[tenant]))


def _number(text: bytes | None) -> float | None:
    return None if text is None else float(text)


def _seconds_left(alone: float | None, done: float | None, total: float | None) -> float | None:
    # A job that was deleted in this moment has none of them.
    return None if alone is None or done is None or not total else alone * (1 - done / total)


def _event(event_id: bytes, fields: Mapping[bytes, bytes]) -> JobEvent:
    return JobEvent(
        event_id.decode(),
        *(json.loads(fields[name]) for name in (b"state", b"tiles_done", b"tiles_total")),
    )


def _record(fields: KernelFields, errors: Mapping[str, float], moment: float) -> JobRecord:
    """The public record of the stored fields, with what follows from them and the time."""
    shown: dict[str, Any] = {**fields}
    ended = fields.get("finished_at")
    if ended is None:
        shown["eta_s"] = _eta(fields, moment)
    if ended is not None and fields["state"] == "succeeded":
        began = fields.get("started_at", fields["created_at"])
        shown["receipt"] = _receipt(fields, errors, ended - began)
    if ended is not None and moment > fields["expires_at"]:
        shown["state"] = "expired"
    return JobRecord.model_validate(shown)


def _eta(fields: KernelFields, moment: float) -> float | None:
    """Seconds to the end of an unfinished job; None when there is nothing to base that on."""
    started, done, total = fields.get("started_at"), fields["tiles_done"], fields["tiles_total"]
    worked = done - fields["reused_at_start"]
    spent = 0.0 if started is None else max(0.0, moment - started)
    if worked > 1:
        assert "first_tile_at" in fields, "a tile of it was finished"
        # The first tile stands for the compiling that the others are spared.
        since = max(0.0, moment - fields["first_tile_at"])
        return round(since / (worked - 1) * (total - done), 1)
    if "expected_s" in fields:
        # Until the job has a pace of its own: what such tiles took before (service/queue/pace.py).
        return round(max(0.0, fields["expected_s"] - spent), 1)
    return round(spent * (total - done), 1) if worked > 0 else None


def _receipt(fields: KernelFields, errors: Mapping[str, float], seconds: float) -> dict[str, Any]:
    assert "provenance" in fields, "it has succeeded"
    return {
        "architecture": fields["architecture"],
        "inputs": fields["inputs"],
        "dtype": fields["dtype"],
        "outputs": fields["outputs"],
        "form": fields["form"],
        "method": fields["method"],
        "exactness": fields["exactness"],
        **({"error_estimate": errors} if errors else {}),
        **fields["provenance"],
        "tiles": {
            "total": fields["tiles_total"],
            "computed": fields["tiles_computed"],
            "reused": fields["tiles_reused"],
        },
        "seconds": round(max(0.0, seconds), 3),
    }
