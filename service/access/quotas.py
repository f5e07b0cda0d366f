"""What one tenant may take of everybody's time: requests a second, and responses kept open.

    requests    a token bucket: `rate` tokens a second, at most `burst` of them; one a request
    open ones   waits (Prefer: wait), streams of matrices and events: at most `most` at a time

Both are kept on Redis A, so that any number of API processes count together, each in one atomic
script. A place that is held open is booked until PLACE from now and renewed while it is held, so that
the places of a process that dies come back by themselves.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.errors import TooMany
from service.settings import Settings
from service.store import keys

# How long a booked place outlives the process that held it.
PLACE = timedelta(seconds=30)

# KEYS: bucket; ARGV: rate, burst -> {1, 0} and a token is taken, or {0, milliseconds until there is
# one}
# Counting must go on when the store is full, or nothing could be read or deleted any more.
TAKE_REQUEST = """#!lua flags=allow-oom
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or burst), tonumber(kept[2] or now)
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local taken = tokens >= 1
if taken then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at',
  string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * burst / rate) + 1000)
return {taken and 1 or 0, taken and 0 or math.ceil(1000 * (1 - tokens) / rate)}
"""

# KEYS: places; ARGV: place, most, milliseconds -> how many are held, 0 when there was no room
TAKE_PLACE = """#!lua flags=allow-oom
local time = redis.call('TIME')
local now = 1000 * tonumber(time[1]) + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local held = redis.call('ZCARD', KEYS[1])
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if held >= tonumber(ARGV[2]) then return 0 end
  held = held + 1
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]))
return held
"""


class Quotas:
    """The rates and places of all tenants."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._rate = settings.max_requests_per_s
        self._burst = settings.max_request_burst
        self._most = settings.max_open_requests
        self._request = client.register_script(TAKE_REQUEST)
        self._place = client.register_script(TAKE_PLACE)

    async def request(self, tenant: str) -> None:
        """One more request of the tenant; raises TooMany when they come too fast."""
        taken, milliseconds = await self._request(
            keys=[keys.bucket(tenant)], args=[self._rate, self._burst]
        )
        if not taken:
            raise TooMany(
                "max_requests_per_s", self._rate, self._rate + 1,
                f"requests come faster than {self._rate} a second, after a burst of up to "
                f"{self._burst}; slow down",
                retry_after=milliseconds / 1000,
            )  # fmt: skip

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncGenerator[None, None]:
        """Inside, one response of the tenant is kept open; raises TooMany when too many are."""
        name = secrets.token_hex(8)
        if not await self._book(tenant, name):
            raise TooMany(
                "max_open_requests", self._most, self._most + 1,
                f"{self._most} requests of this tenant wait or are being answered already; let some "
                "end first, or ask without Prefer: wait",
                retry_after=1,
            )  # fmt: skip
        renewing = asyncio.create_task(self._renew(tenant, name))
        try:
            yield
        finally:
            renewing.cancel()
            # Whoever is cancelled has no time for Redis to be away; the place expires anyway.
            with contextlib.suppress(RedisError, OSError):
                await self._client.zrem(keys.places(tenant), name)

    async def _book(self, tenant: str, name: str) -> int:
        milliseconds = int(PLACE.total_seconds() * 1000)
        args = [name, self._most, milliseconds]
        return int(await self._place(keys=[keys.places(tenant)], args=args))

    async def _renew(self, tenant: str, name: str) -> None:
        while True:
            await asyncio.sleep(PLACE.total_seconds() / 3)
            # A store that is away gives nobody a place either.
            with contextlib.suppress(RedisError, OSError):
                await self._book(tenant, name)
