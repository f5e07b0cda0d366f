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
from service.errors import OverLimit
from service.store import keys
from service.store.array_bytes import header_of, mask_in, mask_of, mask_size, values_in, values_of
from service.store.connection import now, raw
from service.store.framed import framed, header_size, unframed
from service.store.holding import HOLD, RELEASE, UNBOOK
from service.store.renewing import renew_scores


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


async def hold(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int
) -> None:
    """Book bytes against the tenant's input quota until `ttl` from now; the same name counts once.

    Raises OverLimit when the quota does not allow it; then nothing is booked.
    """
    await _hold(client, tenant, sizes, ttl, quota, book=True)


@asynccontextmanager
async def holding(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int
) -> AsyncGenerator[None, None]:
    """`hold` for what is written inside: should that fail, what was not booked before is not any more."""
    fresh = await _hold(client, tenant, sizes, ttl, quota, book=True)
    try:
        yield
    except BaseException:
        if fresh:
            await client.zrem(keys.held(tenant), *fresh)
        raise


async def check_quota(client: Redis, tenant: str, sizes: Mapping[str, int], quota: int) -> None:
    """Raises OverLimit when `hold` would; nothing is booked."""
    await _hold(client, tenant, sizes, timedelta(), quota, book=False)


async def _hold(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int, *, book: bool
) -> list[bytes]:
    """What was not booked before, and is now."""
    moment = await now(client)
    fields = [item for name, size in sizes.items() for item in (name, size)]
    fits, total, *fresh = await client.register_script(HOLD)(
        keys=[keys.held(tenant)],
        args=[moment, quota, moment + ttl.total_seconds(), int(book), *fields],
    )
    if not fits:
        raise OverLimit(
            "max_input_bytes",
            quota,
            int(total),
            f"inputs, datasets and plans of jobs kept for this tenant would take {int(total)} bytes, and "
            f"{quota} are allowed; delete jobs or datasets, or wait until they expire",
        )
    return fresh[0] if fresh else []


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
        network, document = architecture
        sizes = {digest: packed_size(rows) for digest, rows in groups.items()}
        booked = {f"rows:{digest}": size for digest, size in sizes.items()}
        booked[f"architecture:{network}"] = len(document)
        if record_bytes:
            booked[f"job:{user}"] = record_bytes
        await hold(self._client, tenant, booked, self._ttl, self._quota)
        try:
            await self._use(tenant, user, f"architecture:{network}")
            await self._client.set(keys.architecture(tenant, network), document, ex=self._ttl)
            await self._put_rows(tenant, user, groups)
            yield
        except BaseException:
            await self._release(tenant, user, (network, len(document)), sizes)
            raise

    async def _use(self, tenant: str, user: str, name: str) -> None:
        """Before it is stored: `release` for another job must not take it away from then on."""
        users = keys.users(tenant, name)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.sadd(users, user)
            pipe.expire(users, self._ttl)
            await pipe.execute()

    async def _put_rows(self, tenant: str, user: str, groups: Mapping[str, Inputs]) -> None:
        for digest, rows in groups.items():
            key = keys.rows(tenant, digest)
            await self._use(tenant, user, digest)
            if not await self._client.expire(key, self._ttl):
                await self._client.set(key, await asyncio.to_thread(pack, rows), ex=self._ttl)

    async def renew(self, tenant: str, user: str, architecture: str, groups: Iterable[str]) -> None:
        """Give what a job needs, and what is booked for it, its full lifetime again."""
        moment = await now(self._client)
        expiry = moment + self._ttl.total_seconds()
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.expire(keys.architecture(tenant, architecture), self._ttl)
            pipe.expire(keys.users(tenant, f"architecture:{architecture}"), self._ttl)
            wanted = list(groups)
            for digest in wanted:
                pipe.expire(keys.rows(tenant, digest), self._ttl)
                pipe.expire(keys.users(tenant, digest), self._ttl)
            await pipe.execute()
        held = keys.held(tenant)
        names = {
            f"job:{user}",
            f"architecture:{architecture}",
            *(f"rows:{digest}" for digest in wanted),
        }
        members: list[bytes] = raw(await self._client.zrange(held, 0, -1))
        renewed = [member for member in members if member.decode().rpartition("|")[0] in names]
        if renewed:
            await renew_scores(self._client, held, renewed, expiry)
            await self._client.expire(held, self._ttl, gt=True)

    async def release(
        self, tenant: str, user: str, architecture: str, groups: Iterable[str]
    ) -> None:
        """A job is gone, and needs this architecture and these rows no longer; what no other job needs
        is dropped."""
        document = int(await self._client.strlen(keys.architecture(tenant, architecture)))
        sizes = {
            digest: int(await self._client.strlen(keys.rows(tenant, digest)))
            for digest in set(groups)
        }
        await self._release(tenant, user, (architecture, document), sizes)

    async def _release(
        self, tenant: str, user: str, architecture: tuple[str, int], sizes: Mapping[str, int]
    ) -> None:
        """What `release` does, with the bytes of the architecture and of each group."""
        script, held = self._client.register_script(RELEASE), keys.held(tenant)
        network = f"architecture:{architecture[0]}"
        await script(
            keys=[keys.users(tenant, network), keys.architecture(tenant, architecture[0]), held],
            args=[user, f"{network}|{architecture[1]}"],
        )
        for digest, size in sizes.items():
            await script(
                keys=[keys.users(tenant, digest), keys.rows(tenant, digest), held],
                args=[user, f"rows:{digest}|{size}"],
            )
        await self._client.register_script(UNBOOK)(keys=[held], args=[f"job:{user}"])

    async def architecture(self, tenant: str, digest: str) -> str | None:
        """The canonical JSON of an architecture, or None when it is gone."""
        data = raw(await self._client.get(keys.architecture(tenant, digest)))
        return None if data is None else data.decode()

    async def rows(self, tenant: str, digest: str) -> Inputs | None:
        """The rows of a group, or None when they are gone."""
        data = raw(await self._client.get(keys.rows(tenant, digest)))
        return None if data is None else unpack(data)
