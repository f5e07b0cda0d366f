"""Tiles on Redis B: finished ones by digest, the least recently used evicted first."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import redis
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from service.store import keys
from service.store.array_bytes import header_of, values_in, values_of
from service.store.connection import raw

# How many tiles one round trip is about.
BATCH = 1_000
# Threads that read tiles at the same time: a few keep a server busy, and one that hangs must not
# take the threads that others need.
READERS = 8

Tiles = list[np.ndarray | None]


class CachedTiles:
    """Tiles of all tenants; a tile is a hash of output name -> raw values, and what made it.

    Any tile can vanish between two calls: that is what an LRU ceiling means. Callers get None and
    have the tile computed again.
    """

    def __init__(self, client: Redis, blocking: redis.Redis, ttl: timedelta) -> None:
        """`blocking` is on the same server, for threads."""
        self._client = client
        self._blocking = blocking
        self._ttl = ttl
        self._readers = CapacityLimiter(READERS)

    async def write(
        self, tenant: str, digest: str, values: Mapping[str, np.ndarray], meta: Mapping[str, Any]
    ) -> None:
        """Store one tile: its outputs, all of one shape and dtype, and what made it (`meta`)."""
        first = next(iter(values.values()))
        fields: dict[Any, Any] = {name: values_of(value) for name, value in values.items()}
        fields["meta"] = json.dumps(dict(meta) | header_of(first)).encode()
        key = keys.tile(tenant, digest)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=fields)
            pipe.expire(key, self._ttl)
            await pipe.execute()

    async def delete(self, tenant: str, digests: Sequence[str]) -> None:
        """Throw the tiles away; those that are not there are no matter."""
        for start in range(0, len(digests), BATCH):
            names = [keys.tile(tenant, digest) for digest in digests[start : start + BATCH]]
            # UNLINK frees their memory beside the server's other work.
            await self._client.unlink(*names)

    async def read(self, tenant: str, digests: Sequence[str], output: str) -> Tiles:
        """The values of one output of each tile, in their shape; None for those not there."""
        return await run_sync(self._read, tenant, digests, output, limiter=self._readers)

    def _read(self, tenant: str, digests: Sequence[str], output: str) -> Tiles:
        # One by one, though that is a round trip each: redis-py keeps the replies of a pipeline in
        # one buffer, which grows with every tile.
        names = (keys.tile(tenant, digest) for digest in digests)
        return [_values(*raw(self._blocking.hmget(name, [output, "meta"]))) for name in names]

    async def meta(self, tenant: str, digest: str) -> dict[str, Any] | None:
        """What made the tile (versions, device, seconds), or None when it is not there."""
        header = raw(await self._client.hget(keys.tile(tenant, digest), "meta"))
        return None if header is None else json.loads(header)

    async def metas(self, tenant: str, digests: Sequence[str]) -> list[dict[str, Any] | None]:
        """`meta` of many tiles."""
        found: list[dict[str, Any] | None] = []
        for start in range(0, len(digests), BATCH):
            async with self._client.pipeline(transaction=False) as pipe:
                for digest in digests[start : start + BATCH]:
                    pipe.hget(keys.tile(tenant, digest), "meta")
                headers = await pipe.execute()
            found += [None if header is None else json.loads(header) for header in headers]
        return found

    async def renew(self, tenant: str, digests: Sequence[str]) -> list[bool]:
        """Give tiles their full lifetime again; which of them are there."""
        # Renews and tells in one command, and counts as a use for the LRU.
        return await self._each(tenant, digests, lambda pipe, key: pipe.expire(key, self._ttl))

    async def present(self, tenant: str, digests: Sequence[str]) -> list[bool]:
        """Which of the tiles are there; they live no longer for it."""
        # No use for the LRU either.
        return await self._each(tenant, digests, lambda pipe, key: pipe.exists(key))

    async def _each(
        self, tenant: str, digests: Sequence[str], ask: Callable[[Pipeline, str], object]
    ) -> list[bool]:
        """What a command answers about each tile."""
        found: list[bool] = []
        for start in range(0, len(digests), BATCH):
            async with self._client.pipeline(transaction=False) as pipe:
                for digest in digests[start : start + BATCH]:
                    ask(pipe, keys.tile(tenant, digest))
                found += [bool(answer) for answer in await pipe.execute()]
        return found


def _values(values: bytes | memoryview | None, header: bytes | None) -> np.ndarray | None:
    if values is None or header is None:
        return None
    return values_in(values, json.loads(header))
