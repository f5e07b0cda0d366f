"""Tiles in an object store: S3, GCS, Azure or a folder, for results that Redis B could not keep.

    TENANT/DIGEST/OUTPUT     a header (shape, dtype; see `framed`), the raw values
    TENANT/DIGEST/meta       what made the tile, as JSON

Object stores forget nothing by themselves and are slow to ask, so two sorted sets on Redis A say what
is there: `far:due`, when each tile is to be deleted, from before the first byte of it is written, and
`far:whole`, those that are complete. Workers delete what is due; a use puts it off. `far_bytes` counts
what each tenant has there.
"""

import asyncio
import json
import math
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url
from redis.asyncio import Redis

from service.errors import ResultStoreAway, ResultStoreClosed, StartError
from service.store import keys
from service.store.array_bytes import header_of, values_in, values_of
from service.store.connection import now, raw
from service.store.far_bytes import FarBytes
from service.store.framed import framed, unframed

if TYPE_CHECKING:
    from obstore.store import RetryConfig

META = "meta"
# Beside the tenants' folders: no tenant has this name.
PROBE = ".probe"
# Tiles that one round trip, and one look for what is due, are about.
BATCH = 1_000
DUE_AT_ONCE = 200

# Tiles whose objects are deleted at the same time.
DELETED_TOGETHER = 16
# A request waits for the store this long at most; obstore would try again for three minutes.
RETRIES: "RetryConfig" = {"max_retries": 4, "retry_timeout": timedelta(seconds=15)}
SCHEMES = ("s3", "gs", "az", "file")


def open_object_store(url: str) -> ObjectStore:
    """The store at an s3://, gs://, az:// or file:// address; credentials and the endpoint come from
    the environment, in the words of each store (docs/operations.md).

    Raises StartError for an address that is none.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise StartError(
            f"GRAMD_RESULTS_URL {url!r} cannot be used: expected s3://BUCKET/PREFIX, "
            "gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///DIRECTORY"
        )
    try:
        if scheme == "file":
            return from_url(url, mkdir=True)
        # No options of the HTTP client: they would hide those that the environment names.
        return from_url(url, retry_config=RETRIES)
    except (BaseError, ValueError, OSError) as error:
        raise StartError(f"GRAMD_RESULTS_URL {url!r} cannot be used: {_said(error)}") from error


def check_object_store(url: str) -> None:
    """Write and delete a small object; raises StartError with what the store says about it."""
    store = open_object_store(url)
    path = f"{PROBE}/{secrets.token_hex(8)}"
    try:
        obstore.put(store, path, b"gramd can write here")
        obstore.delete(store, path)
    except (BaseError, OSError) as error:
        said = _said(error)
        # Its words for both say nothing of the remedy.
        if "builder error" in said:
            said += (
                " (an http:// endpoint needs AWS_ALLOW_HTTP, AZURE_ALLOW_HTTP or GOOGLE_ALLOW_HTTP)"
            )
        elif isinstance(error, FileNotFoundError):
            said += " (is there such a bucket or container? it is not made here)"
        raise StartError(f"GRAMD_RESULTS_URL {url!r} cannot be used: {said}") from error


class FarTiles:
    """Tiles of all tenants in one object store; each lives `ttl` from its last use."""

    def __init__(self, store: ObjectStore, client: Redis, ttl: timedelta, bytes_: FarBytes) -> None:
        self._store = store
        self._client = client
        self._ttl = ttl.total_seconds()
        self.bytes = bytes_

    async def write(
        self, tenant: str, name: str, values: Mapping[str, np.ndarray], meta: Mapping[str, Any]
    ) -> None:
        """Store one tile: its outputs, all of one shape and dtype, and what made it (`meta`).

        Raises ResultStoreAway.
        """
        ref = keys.ref(tenant, name)
        until = await now(self._client) + self._ttl
        objects = {
            output: framed(header_of(value), values_of(value)) for output, value in values.items()
        }
        # Last, so that a tile with it is whole.
        objects[META] = json.dumps({**meta, "outputs": ",".join(values)}).encode()
        await self.bytes.count(ref, sum(map(len, objects.values())), until)
        try:
            with _store_errors():
                for part, data in objects.items():
                    await obstore.put_async(self._store, _path(ref, part), data)
        except FileNotFoundError as error:
            raise ResultStoreClosed(
                f"there is no such bucket or container: {_said(error)}"
            ) from error
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(keys.FAR_DUE, {ref: until}, gt=True)
            pipe.zadd(keys.FAR_WHOLE, {ref: until}, gt=True)
            await pipe.execute()

    async def read(self, tenant: str, names: Sequence[str], output: str) -> list[np.ndarray | None]:
        """The values of one output of each tile, in their shape; None for those not there."""
        return [await self._read(tenant, name, output) for name in names]

    async def _read(self, tenant: str, name: str, output: str) -> np.ndarray | None:
        data = await self._get(keys.ref(tenant, name), output)
        if data is None:
            return None
        header, start = unframed(data)
        return values_in(data, header, start)

    async def metas(self, tenant: str, names: Sequence[str]) -> list[dict[str, Any] | None]:
        """What made each tile, None for those that are not there."""
        found = [await self._get(keys.ref(tenant, name), META) for name in names]
        own = "outputs"  # of this module alone
        return [
            None
            if data is None
            else {field: value for field, value in json.loads(data).items() if field != own}
            for data in found
        ]

    async def renew(self, tenant: str, names: Sequence[str]) -> list[bool]:
        """Give tiles their full lifetime again; which of them are there (see `present`).

        Raises ResultStoreAway.
        """
        found: list[bool] = []
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            moment, there = await self._present(tenant, batch)
            renewed: dict[Any, float] = {
                keys.ref(tenant, name): moment + self._ttl
                for name, is_there in zip(batch, there, strict=True)
                if is_there
            }
            if renewed:
                async with self._client.pipeline(transaction=True) as pipe:
                    pipe.zadd(keys.FAR_DUE, renewed, xx=True, gt=True)
                    pipe.zadd(keys.FAR_WHOLE, renewed, xx=True, gt=True)
                    await pipe.execute()
            found += there
        return found

    async def present(self, tenant: str, names: Sequence[str]) -> list[bool]:
        """Which of the tiles are there; they live no longer for it.

        The list is believed, but for one tile a round trip: so a store that does not answer is found
        out before anything is promised. Raises ResultStoreAway.
        """
        found: list[bool] = []
        for start in range(0, len(names), BATCH):
            found += (await self._present(tenant, names[start : start + BATCH]))[1]
        return found

    async def _present(self, tenant: str, names: Sequence[str]) -> tuple[float, list[bool]]:
        """The time now, and which of a few tiles are there."""
        moment = await now(self._client)
        refs = [keys.ref(tenant, name) for name in names]
        scores: list[float | None] = raw(await self._client.zmscore(keys.FAR_WHOLE, refs))
        there = [score is not None and score > moment for score in scores]
        if any(there):
            first = there.index(True)
            there[first] = await self._get(refs[first], META) is not None
        return moment, there

    async def delete(self, tenant: str, names: Sequence[str]) -> None:
        """Throw the tiles away; those that are not there are no matter."""
        refs = [keys.ref(tenant, name) for name in names]
        await self._unlist(refs)
        await self._remove(refs)
        await self.bytes.forget(refs, math.inf)

    async def drop(self, tenant: str, names: Sequence[str]) -> None:
        """Have the workers throw the tiles away soon, at their pace."""
        refs = [keys.ref(tenant, name) for name in names]
        await self._unlist(refs)
        moment = await now(self._client)
        for start in range(0, len(refs), BATCH):
            due: dict[Any, float] = dict.fromkeys(refs[start : start + BATCH], moment)
            await self._client.zadd(keys.FAR_DUE, due, xx=True)

    async def delete_due(self) -> int:
        """Delete tiles that nobody used for their lifetime, some at a time; returns how many."""
        moment = await now(self._client)
        due: list[bytes] = raw(
            await self._client.zrangebyscore(keys.FAR_DUE, "-inf", moment, 0, DUE_AT_ONCE)
        )
        refs = [ref.decode() for ref in due]
        await self._remove(refs)
        # One that was used meanwhile stays on the list, and is computed again when it is read.
        return await self.bytes.forget(refs, moment)

    async def _unlist(self, refs: Sequence[str]) -> None:
        for start in range(0, len(refs), BATCH):
            await self._client.zrem(keys.FAR_WHOLE, *refs[start : start + BATCH])

    async def _remove(self, refs: Sequence[str]) -> None:
        """Delete the objects of tiles, whichever of them are there."""
        for start in range(0, len(refs), DELETED_TOGETHER):
            await asyncio.gather(
                *(self._remove_one(ref) for ref in refs[start : start + DELETED_TOGETHER])
            )

    async def _remove_one(self, ref: str) -> None:
        with _store_errors():
            found = await obstore.list(self._store, prefix=_path(ref)).collect_async()
            for entry in found:
                try:
                    await obstore.delete_async(self._store, entry["path"])
                except FileNotFoundError:
                    continue  # another worker was faster

    async def _get(self, ref: str, part: str) -> bytes | None:
        try:
            with _store_errors():
                answer = await obstore.get_async(self._store, _path(ref, part))
                return bytes(await answer.bytes_async())
        except FileNotFoundError:
            # Somebody deleted it behind our back: it is not there, whatever the list says.
            await self._client.zrem(keys.FAR_WHOLE, ref)
            return None


def _path(ref: str, part: str = "") -> str:
    tenant, name = keys.split(ref)
    return f"{tenant}/{name}/{part}" if part else f"{tenant}/{name}"


def _said(error: Exception) -> str:
    """The first line: below it obstore prints its own structures."""
    return str(error).partition("\n")[0]


@contextmanager
def _store_errors() -> Generator[None, None, None]:
    """What the object store says, but for a missing object, as ResultStoreAway or ResultStoreClosed."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise ResultStoreClosed(f"the object store lets nobody in: {_said(error)}") from error
    except (BaseError, OSError) as error:
        raise ResultStoreAway(
            f"the object store of results does not do its part: {_said(error)}"
        ) from error
