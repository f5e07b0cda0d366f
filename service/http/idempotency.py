"""Idempotency-Key on POST: the same key and body make one resource, however often they are sent.

    key, fingerprint --claim--> nobody has it    the id is kept, the caller creates under it
                                being handled    waited for, then 409 with Retry-After
                                done             the id of the resource that it made
                                another body     422

The id of the resource is chosen before it is created and kept with the claim. So a process that
dies between the two leaves a claim that lapses, and whoever takes it over creates under the very
same id or finds that it was created already: there are never two.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from kernels.errors import KernelError
from service.errors import ServiceError
from service.http.problems import Conflict, InvalidRequest, Problem
from service.store import keys
from service.store.connection import store_with_room
from service.store.holding import BOOKS, LAPSES, books_of, over_quota

HEADER = "Idempotency-Key"
# How long a key is remembered after its request was handled: as long as a job by default.
KEPT = timedelta(hours=24)
# A handler that shows no sign of life for this long is taken for dead.
LEASE = timedelta(seconds=15)
# How long a second request with the key waits for the first before it is told to come again.
PATIENCE = timedelta(seconds=5)
CHECK = timedelta(milliseconds=50)
# What a key takes of its tenant's quota, as MEMORY USAGE says.
KEY_BYTES = 400
# As `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {"idempotency_ttl_s": KEPT.total_seconds()}

# A string in quotes (the IETF draft) or as it is, as most clients send it.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-~]{1,255})')

# KEYS: key, prefix of claims, held, books; ARGV: fingerprint, resource id, claim, lease ms, ttl ms, KEY_BYTES,
# quota, LAPSES -> {what, resource id}, or {"full", bytes that the tenant would have}. Keys are booked together
# that come in the same hour: a booking of its own would be as large as a key.
_CLAIM = (
    BOOKS
    + """
local held, books, bytes = KEYS[3], KEYS[4], tonumber(ARGV[6])
local known = redis.call('HMGET', KEYS[1], 'fingerprint', 'resource', 'claim', 'done')
local mine = 'claimed'
if known[1] then
  if known[1] ~= ARGV[1] then return {'other', ''} end
  if known[4] then return {'done', known[2]} end
  if known[3] and redis.call('EXISTS', KEYS[2] .. known[3]) == 1 then return {'busy', ''} end
  mine = 'taken-over'
end
local now, total = tonumber(redis.call('TIME')[1]), total_of(books) + bytes
if mine == 'claimed' and total > tonumber(ARGV[7]) then
  lapse(held, books, now, tonumber(ARGV[8]))
  if total_of(books) + bytes < total then return {'again', ''} end
  return {'full', total}
end
local resource = known[2] or ARGV[2]
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'resource', resource, 'claim', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('SET', KEYS[2] .. ARGV[3], '1', 'PX', ARGV[4])
if mine == 'claimed' then
  local hour = math.floor(now / 3600)
  redis.call('HSET', KEYS[1], 'hour', hour)
  book_more(held, books, 'keys:' .. hour, bytes, (hour + 1) * 3600 + ARGV[5] / 1000)
  last_as_long(held, books)
end
return {mine, resource}
"""
)
# KEYS: key, prefix of claims, held, books; ARGV: claim, resource id, "done", "refused" or "unknown", ttl ms,
# KEY_BYTES.
# In a full store too, or a resource that was made would be answered with an error.
_END = (
    "#!lua flags=allow-oom"
    + BOOKS
    + """
if redis.call('HGET', KEYS[1], 'claim') == ARGV[1] then
  if ARGV[3] == 'done' then
    redis.call('HSET', KEYS[1], 'resource', ARGV[2], 'done', '1')
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
  elseif ARGV[3] == 'refused' then
    local hour = redis.call('HGET', KEYS[1], 'hour')
    redis.call('DEL', KEYS[1])
    book_less(KEYS[3], KEYS[4], 'keys:' .. hour, tonumber(ARGV[5]))
  end
end
redis.call('DEL', KEYS[2] .. ARGV[1])
"""
)


@dataclass
class Claim:
    """A request's right to create the resource `resource`, or the news that it was created.

    `replayed`: an earlier request made it. `again`: an earlier one may have, before it died; look
    first. The creator may set `resource` when the id turns out another (content-addressed ones).
    """

    resource: str
    replayed: bool = False
    again: bool = False


def read_key(given: Sequence[str]) -> str | None:
    """The key in a request's headers of that name; raises InvalidRequest for what is none."""
    if not given:
        return None
    match = _KEY.fullmatch(given[0].strip())
    if match is None or len(given) > 1:
        raise InvalidRequest(
            "expected one key of 1 to 255 printable ASCII characters without spaces (with spaces:"
            f" in quotes), for instance a UUID; got {', '.join(given)[:100]!r}",
            parameter=HEADER,
        )
    return match[1] or match[2]


def fingerprint(path: str, value: Any, parts: Mapping[str, bytes | bytearray] | None = None) -> str:
    """SHA-256 (hex) of what a request asks for: where, the JSON value and the parts beside it.

    Boundaries of forms and spaces in JSON are no part of it: clients choose them anew each time.
    """
    digests = {name: hashlib.sha256(part).hexdigest() for name, part in (parts or {}).items()}
    text = json.dumps([path, value, digests], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Idempotency:
    """The keys of all tenants, on Redis A; they count against a tenant's `quota` of bytes."""

    def __init__(self, client: Redis, quota: int) -> None:
        self._client = client
        self._quota = quota
        self._claim = client.register_script(_CLAIM)
        self._end = client.register_script(_END)

    @asynccontextmanager
    async def once(
        self, tenant: str, key: str | None, request: str, resource: str
    ) -> AsyncGenerator[Claim, None]:
        """Inside, the caller creates the resource, unless the claim says that it was created.

        Args:
            key: the client's key; without one every request is a new one.
            request: its `fingerprint`.
            resource: the id that a new resource shall have.

        A refusal inside frees the key: nothing was created. After any other error whoever sends
        the key next looks whether something was. Raises InvalidRequest for a key that came with
        another body, Conflict while the first request is still being handled, OverLimit (quota).
        """
        if key is None:
            yield Claim(resource)
            return
        name = keys.idempotency(tenant, hashlib.sha256(key.encode()).hexdigest())
        mine = secrets.token_hex(8)
        touched = [name, keys.claim(name, ""), *books_of(tenant)]
        claim = await self._claimed(touched, mine, request, resource)
        if claim.replayed:
            yield claim
            return
        alive = asyncio.create_task(self._stay_alive(name, mine))
        outcome = "unknown"
        try:
            yield claim
            outcome = "done"
        except (Problem, ServiceError, KernelError):
            outcome = "refused"
            raise
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)
            kept = int(KEPT.total_seconds() * 1000)
            await asyncio.shield(
                self._end(keys=touched, args=[mine, claim.resource, outcome, kept, KEY_BYTES])
            )

    async def _claimed(
        self, touched: Sequence[str], mine: str, request: str, resource: str
    ) -> Claim:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE.total_seconds()
        while True:
            async with store_with_room(self._client):
                what, known = await self._claim(
                    keys=touched,
                    args=[
                        request, resource, mine, int(LEASE.total_seconds() * 1000),
                        int(KEPT.total_seconds() * 1000), KEY_BYTES, self._quota, LAPSES,
                    ],
                )  # fmt: skip
            if what == b"full":
                raise over_quota(self._quota, known)
            if what == b"again":
                continue
            if what == b"other":
                raise InvalidRequest(
                    "this key came with another request before; a key belongs to one request, so"
                    " choose a new one",
                    parameter=HEADER,
                )
            if what != b"busy":
                return Claim(known.decode(), what == b"done", what == b"taken-over")
            if loop.time() > deadline:
                raise Conflict(
                    "an earlier request with this key is still being handled; send it again",
                    headers={"Retry-After": "1"},
                )
            await asyncio.sleep(CHECK.total_seconds())

    async def _stay_alive(self, name: str, mine: str) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            await self._client.set(keys.claim(name, mine), "1", px=LEASE)
