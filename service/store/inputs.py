"""What workers need to compute a tile, by content: architectures and the rows of groups.

Everything here lives on Redis A, is pinned while a job needs it, and counts against the quota.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from kernels.inputs import Inputs
from service.store import holding, keys
from service.store.array_bytes import header_of, mask_in, mask_of, mask_size, values_in, values_of
from service.store.connection import now, raw
from service.store.framed import framed, header_size, unframed

# A job or a prediction at its end, beside its plan, most of which are its events; and for each of its groups that
# it is among those who need the rows. As MEMORY USAGE says (tests/service/room/test_bookings.py).
JOB_BYTES = 8_500
USER_BYTES = 96


def _header(rows: Inputs) -> dict[str, Any]:
    return header_of(rows.x) | {"masked": rows.mask is not None}


def packed_size(rows: Inputs) -> int:
    """The length of `pack(rows)` in bytes, without packing."""
    mask = 0 if rows.mask is None else mask_size(rows.x.shape)
    return header_size(_header(rows)) + rows.x.nbytes + mask


def pack(rows: Inputs) -> bytes:
    """Rows as bytes: a header (see `framed`), the values, the mask in bits."""
    return framed(_header(rows), values_of(rows.x), mask_of(rows.mask))


def unpack(data: bytes) -> Inputs:
    """The rows that `pack` packed."""
    header, start = unframed(data)
    x = values_in(data, header, start)
    return Inputs(x, mask_in(data, x.shape, start + x.nbytes) if header["masked"] else None)


def bookings(
    user: str, architecture: tuple[str, str], groups: Mapping[str, Inputs], record_bytes: int
) -> dict[str, int]:
    """What a job takes of the quota, by name: its rows, its architecture (digest, canonical JSON), itself."""
    digest, text = architecture
    rows = {f"rows:{name}": packed_size(rows) for name, rows in groups.items()}
    own = JOB_BYTES + USER_BYTES * len(groups) + record_bytes
    return rows | {f"architecture:{digest}": len(text), f"job:{user}": own}


class InputStore:
    """Architectures and row groups, each stored once per tenant under its content digest."""

    def __init__(self, client: Redis, ttl: timedelta, quota: int) -> None:
        self._client = client
        self._ttl = ttl
        self._quota = quota

    @asynccontextmanager
    async def put(
        self,
        tenant: str,
        user: str,
        architecture: tuple[str, str],
        groups: Mapping[str, Inputs],
        record_bytes: int = 0,
    ) -> AsyncGenerator[None, None]:
        """Store an architecture (digest, canonical JSON) and row groups (digest -> rows) for a job, which
        is written inside: should that fail, rows that no other job needs are dropped again.

        `record_bytes`, what the job itself takes, count against the quota until it is released.
        What is there already only gets its lifetime renewed. Raises OverLimit (quota).
        """
        digest, text = architecture
        booked = bookings(user, architecture, groups, record_bytes)
        try:
            # Users come first: `release` for another job must not take away what is booked or there.
            await self._use(tenant, user, [digest, *groups])
            await holding.hold(self._client, tenant, booked, self._ttl, self._quota)
            await self._client.set(keys.architecture(tenant, digest), text, ex=self._ttl)
            await self._put_rows(tenant, groups)
            yield
        except BaseException:
            await self.release(tenant, user, digest, groups)
            raise

    async def _use(self, tenant: str, user: str, digests: Iterable[str]) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            for digest in digests:
                pipe.sadd(keys.users(tenant, digest), user)
                pipe.expire(keys.users(tenant, digest), self._ttl)
            await pipe.execute()

    async def _put_rows(self, tenant: str, groups: Mapping[str, Inputs]) -> None:
        for digest, rows in groups.items():
            key = keys.rows(tenant, digest)
            if not await self._client.expire(key, self._ttl):
                await self._client.set(key, await asyncio.to_thread(pack, rows), ex=self._ttl)

    async def renew(self, tenant: str, user: str, architecture: str, groups: Iterable[str]) -> None:
        """Give what a job needs, and what is booked for it, its full lifetime again."""
        expiry = await now(self._client) + self._ttl.total_seconds()
        names = [f"job:{user}", f"architecture:{architecture}"]
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.expire(keys.architecture(tenant, architecture), self._ttl)
            pipe.expire(keys.users(tenant, architecture), self._ttl)
            for digest in groups:
                pipe.expire(keys.rows(tenant, digest), self._ttl)
                pipe.expire(keys.users(tenant, digest), self._ttl)
                names.append(f"rows:{digest}")
            await pipe.execute()
        await holding.renew(self._client, tenant, names, expiry)

    async def release(
        self, tenant: str, user: str, architecture: str | None, groups: Iterable[str]
    ) -> None:
        """A job is gone, and needs its architecture (None: not known any more) and these rows no longer;
        those that no other job needs are dropped."""
        needed = {digest: (keys.rows(tenant, digest), "rows") for digest in groups}
        if architecture is not None:
            needed[architecture] = keys.architecture(tenant, architecture), "architecture"
        script = self._client.register_script(holding.RELEASE)
        books = holding.books_of(tenant)
        for digest, (name, kind) in needed.items():
            await script(
                keys=[keys.users(tenant, digest), name, *books], args=[user, f"{kind}:{digest}"]
            )
        await holding.unbook(self._client, tenant, [f"job:{user}"])

    async def architecture(self, tenant: str, digest: str) -> str | None:
        """The canonical JSON of an architecture, or None when it is gone."""
        data = raw(await self._client.get(keys.architecture(tenant, digest)))
        return None if data is None else data.decode()

    async def rows(self, tenant: str, digest: str) -> Inputs | None:
        """The rows of a group, or None when they are gone."""
        data = raw(await self._client.get(keys.rows(tenant, digest)))
        return None if data is None else unpack(data)
