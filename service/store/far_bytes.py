"""What tenants have in the object store, and what their unfinished jobs will still put there.

    there      bytes of the tiles, from before the first of them is written until a tile is deleted
    promised   bytes that a job had yet to compute when it was taken; of them, the share of its tiles
               that is missing still counts, for as long as it is unfinished

A job is taken when both together leave room for it (`GRAMD_MAX_STORED_BYTES`), in one atomic script,
so jobs that come at the same moment see each other. A promise ends by itself with its job.
"""

from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis

from service.errors import OverLimit
from service.store import keys
from service.store.connection import now, raw

# A job is written this soon after its promise, or never will be.
BEING_MADE = timedelta(minutes=1)

# KEYS: totals, jobs; ARGV: tenant, job, bytes, quota, book (1) or only look (0), now, ttl, being made
# -> {1, bytes after} when they fit (and are now promised), {0, bytes that they would make}
PROMISE = (
    f"local JOB = '{keys.JOB_PREFIX}'"
    """
local tenant, more, now = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[6])
local total = tonumber(redis.call('HGET', KEYS[1], tenant) or 0) + more
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
  local bytes, moment = string.match(known[i + 1], '^(%d+)|(.*)$')
  local state, done, tiles, reused = unpack(redis.call('HMGET', JOB .. tenant .. ':' .. known[i],
    'state', 'tiles_done', 'tiles_total', 'reused_at_start'))
  if state == '"queued"' or state == '"running"' then
    total = total + tonumber(bytes) * (tiles - done) / math.max(1, tiles - reused)
  elseif not state and now - tonumber(moment) < tonumber(ARGV[8]) then
    total = total + tonumber(bytes)
  elseif not state then
    redis.call('HDEL', KEYS[2], known[i])
  end
end
total = math.ceil(total)
if more > 0 and total > tonumber(ARGV[4]) then return {0, total} end
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. '|' .. ARGV[6])
  redis.call('EXPIRE', KEYS[2], tonumber(ARGV[7]))
end
return {1, total}
"""
)

# KEYS: due, sizes, totals; ARGV: tile, tenant, bytes, until -> nothing
COUNT = """
local before = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HINCRBY', KEYS[3], ARGV[2], tonumber(ARGV[3]) - before)
redis.call('ZADD', KEYS[1], 'GT', ARGV[4], ARGV[1])
"""

# KEYS: due, whole, sizes, totals; ARGV: now, tile, tenant -> 1 when it was due and is forgotten.
# Room is made in a full store too.
FORGET = """#!lua flags=allow-oom
local due = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not due or tonumber(due) > tonumber(ARGV[1]) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[2])
local bytes = tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or 0)
redis.call('HDEL', KEYS[3], ARGV[2])
if redis.call('HINCRBY', KEYS[4], ARGV[3], -bytes) <= 0 then redis.call('HDEL', KEYS[4], ARGV[3]) end
return 1
"""


class FarBytes:
    """The bytes of all tenants in one object store, held against `quota` for each of them."""

    def __init__(self, client: Redis, quota: int, job_ttl: timedelta) -> None:
        self._client = client
        self._quota = quota
        self._job_ttl = job_ttl + keys.TOMBSTONE
        self._promise = client.register_script(PROMISE)
        self._count = client.register_script(COUNT)
        self._forget = client.register_script(FORGET)

    async def promise(self, tenant: str, job_id: str, size: int) -> None:
        """A job is about to be written that has `size` bytes yet to compute; raises OverLimit."""
        await self._ask(tenant, job_id, size, book=True)

    async def check(self, tenant: str, size: int) -> None:
        """Raises OverLimit when `promise` would; nothing is promised."""
        await self._ask(tenant, "", size, book=False)

    async def withdraw(self, tenant: str, job_id: str) -> None:
        """The job was not written after all, or is deleted."""
        await self._client.hdel(keys.far_jobs(tenant), job_id)

    async def jobs(self, tenant: str) -> set[str]:
        """Ids of the tenant's jobs with tiles in the object store; some may have expired."""
        found: list[bytes] = raw(await self._client.hkeys(keys.far_jobs(tenant)))
        return {name.decode() for name in found}

    async def total(self) -> int:
        """What all tenants have in the store."""
        return sum(int(size) for size in raw(await self._client.hvals(keys.FAR_TOTALS)))

    async def count(self, ref: str, size: int, until: float) -> None:
        """A tile of `size` bytes is about to be written, to be deleted at `until`."""
        await self._count(
            keys=[keys.FAR_DUE, keys.FAR_SIZES, keys.FAR_TOTALS],
            args=[ref, keys.split(ref)[0], size, until],
        )

    async def forget(self, refs: Sequence[str], moment: float) -> int:
        """The objects of these tiles are deleted; those that are due later than `moment` stay, they
        were used meanwhile. Returns how many were forgotten."""
        async with self._client.pipeline(transaction=False) as pipe:
            for ref in refs:
                await self._forget(
                    keys=[keys.FAR_DUE, keys.FAR_WHOLE, keys.FAR_SIZES, keys.FAR_TOTALS],
                    args=[moment, ref, keys.split(ref)[0]],
                    client=pipe,
                )
            return sum(await pipe.execute())

    async def _ask(self, tenant: str, job_id: str, size: int, *, book: bool) -> None:
        fits, total = await self._promise(
            keys=[keys.FAR_TOTALS, keys.far_jobs(tenant)],
            args=[
                tenant, job_id, size, self._quota, int(book), await now(self._client),
                int(self._job_ttl.total_seconds()), BEING_MADE.total_seconds(),
            ],
        )  # fmt: skip
        if not fits:
            raise OverLimit(
                "max_stored_bytes", self._quota, int(total),
                f"large results kept for this tenant would take {int(total)} bytes, and "
                f"{self._quota} are allowed; delete large jobs, or wait until they expire",
            )  # fmt: skip
