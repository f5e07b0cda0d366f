"""Uploaded arrays, content-addressed per tenant: the same bytes are stored once."""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis

from service.errors import UnknownDataset
from service.store import keys
from service.store.array_bytes import little_endian, mask_in, mask_of, values_in
from service.store.connection import raw, store_with_room
from service.store.inputs import hold, holding
from service.store.tenants import Tenants
from service.store.tiles import TileStore

# One Redis value each; small enough that no command holds the server for long.
PIECE = 8 << 20
# Digests that one command adds to what was made from a dataset.
BATCH = 10_000
# KEYS: record, pieces; ARGV: what was written as the record. A record of somebody else's stays.
_TAKE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('DEL', unpack(KEYS, 2))
"""


class Dataset(BaseModel):
    """What is known about a dataset."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="depends on the content and on whose it is")
    shape: tuple[int, ...] = Field(
        description="as uploaded: (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C)"
    )
    dtype: str = Field(description='"<f4" or "<f8", the smaller that holds what came')
    digest: str = Field(description="SHA-256 of shape, dtype, values and mask")
    masked: bool = Field(description="whether a mask came with it")
    bytes: int = Field(description="of values and mask, counted against max_input_bytes")
    created_at: datetime = Field(description="when it was first uploaded (RFC 3339, UTC)")
    expires_at: datetime = Field(
        description="when it is forgotten; using it puts that off (RFC 3339, UTC)"
    )


def digest_header(shape: Sequence[int], dtype: str, masked: bool) -> bytes:
    """What a content digest begins with: the values and the bits of the mask follow."""
    return json.dumps([shape, dtype, masked]).encode()


def content_digest(x: np.ndarray, mask: np.ndarray | None) -> str:
    """SHA-256 (hex) of shape, dtype, values and mask."""
    digest = hashlib.sha256(digest_header(x.shape, x.dtype.str, mask is not None))
    digest.update(np.ascontiguousarray(x).data.cast("B") if x.size else b"")
    if mask is not None:
        digest.update(mask_of(mask))
    return digest.hexdigest()


def _encode(x: np.ndarray, mask: np.ndarray | None) -> tuple[str, bytes]:
    data = np.ascontiguousarray(x, little_endian(x.dtype))
    return content_digest(data, mask), data.tobytes() + mask_of(mask)


class DatasetStore:
    """Datasets on Redis A; each lives `ttl` from its last upload or use."""

    def __init__(
        self, client: Redis, tiles: TileStore, tenants: Tenants, ttl: timedelta, quota: int
    ) -> None:
        self._client = client
        self._tiles = tiles
        self._tenants = tenants
        self.ttl = ttl
        self._quota = quota

    async def create(self, tenant: str, x: np.ndarray, mask: np.ndarray | None = None) -> Dataset:
        """Store an array (n, ..., channels) and its boolean mask; raises OverLimit (quota).

        The same content has the same id, so uploading it again is harmless.
        """
        async with store_with_room(self._client):
            return await self._create(tenant, x, mask)

    async def _create(self, tenant: str, x: np.ndarray, mask: np.ndarray | None) -> Dataset:
        digest, data = await asyncio.to_thread(_encode, x, mask)
        dataset_id = await self.identity(tenant, digest)
        size = {f"dataset:{dataset_id}": len(data)}
        async with holding(self._client, tenant, size, self.ttl, self._quota):
            if not await self.renew(tenant, dataset_id):
                fields = record_fields(
                    x.shape, little_endian(x.dtype).str, digest, mask is not None, len(data)
                )
                await self._write(tenant, dataset_id, data, fields)
        return await self.get(tenant, dataset_id)

    async def _write(
        self, tenant: str, dataset_id: str, data: bytes, fields: dict[str, Any]
    ) -> None:
        """All of a dataset, or nothing."""
        # Nobody else writes under this name: a reader of the same content is not disturbed.
        starts = range(0, len(data), PIECE)
        fields = fields | {"stored": secrets.token_hex(16), "pieces": len(starts)}
        record, text = keys.dataset(tenant, dataset_id), json.dumps(fields)
        names = _pieces(tenant, fields)
        try:
            for name, start in zip(names, starts, strict=True):
                await self._client.set(name, data[start : start + PIECE], ex=self.ttl)
            # The record comes last: a dataset that can be seen is complete.
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.set(record, text, ex=self.ttl)
                pipe.expire(keys.made(tenant, dataset_id), self.ttl)
                await pipe.execute()
        except BaseException:
            # The record may have been written, and only the news of that been lost.
            await self._client.register_script(_TAKE_BACK)(keys=[record, *names], args=[text])
            raise

    async def identity(self, tenant: str, digest: str) -> str:
        """The id that content of this digest has for the tenant."""
        secret = await self._tenants.secret(tenant)
        return "d" + hmac.new(secret, digest.encode(), hashlib.sha256).hexdigest()[:31]

    async def renew(self, tenant: str, dataset_id: str) -> bool:
        """Give a dataset its full lifetime again; False when it (or a piece of it) is not there."""
        try:
            fields, _ = await self._record(tenant, dataset_id)
        except UnknownDataset:
            return False
        async with self._client.pipeline(transaction=True) as pipe:
            for name in (keys.dataset(tenant, dataset_id), *_pieces(tenant, fields)):
                pipe.expire(name, self.ttl)
            there: list[Any] = await pipe.execute()
        await self._client.expire(keys.made(tenant, dataset_id), self.ttl)
        return all(there)

    async def get(self, tenant: str, dataset_id: str) -> Dataset:
        """What is known about the dataset; raises UnknownDataset."""
        fields, left = await self._record(tenant, dataset_id)
        expires = datetime.now(UTC) + left
        return Dataset(id=dataset_id, expires_at=expires, **fields)

    async def load(self, tenant: str, dataset_id: str) -> tuple[np.ndarray, np.ndarray | None]:
        """The array and its mask, as uploaded (little-endian); raises UnknownDataset."""
        fields, _ = await self._record(tenant, dataset_id)
        names = _pieces(tenant, fields)
        # Piece by piece into its place: together, pieces and whole would take twice the memory.
        data, filled = np.zeros(fields["bytes"], np.uint8), 0
        for name in names:
            piece: bytes | None = raw(await self._client.getex(name, ex=self.ttl))
            if piece is None:
                raise UnknownDataset(dataset_id)
            data[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.expire(keys.dataset(tenant, dataset_id), self.ttl)
            pipe.expire(keys.made(tenant, dataset_id), self.ttl)
            await pipe.execute()
        await hold(
            self._client, tenant, {f"dataset:{dataset_id}": fields["bytes"]}, self.ttl, self._quota
        )
        return await asyncio.to_thread(_decode, data, fields)

    async def delete(self, tenant: str, dataset_id: str) -> None:
        """Remove the dataset and the tiles made from it; raises UnknownDataset.

        Jobs made from it keep their own rows: those that run go on, and what is fetched of those
        that have ended is computed again.
        """
        fields, _ = await self._record(tenant, dataset_id)
        made = keys.made(tenant, dataset_id)
        members: Iterable[bytes] = raw(await self._client.smembers(made))
        # The tiles go first: should their store be away, the dataset stays and can be deleted later.
        await self._tiles.delete(tenant, [digest.hex() for digest in members])
        await self._client.delete(made)
        names = _pieces(tenant, fields)
        await self._client.delete(keys.dataset(tenant, dataset_id), *names)
        await self._client.zrem(keys.held(tenant), f"dataset:{dataset_id}|{fields['bytes']}")

    async def remember(
        self, tenant: str, dataset_ids: Iterable[str], digests: Sequence[str]
    ) -> None:
        """Note the tiles that a job is going to make from these datasets, for `delete`."""
        members = [bytes.fromhex(digest) for digest in digests]
        for dataset_id in dataset_ids:
            made = keys.made(tenant, dataset_id)
            for start in range(0, len(members), BATCH):
                async with self._client.pipeline(transaction=True) as pipe:
                    pipe.sadd(made, *members[start : start + BATCH])
                    pipe.expire(made, self.ttl)
                    await pipe.execute()

    async def _record(self, tenant: str, dataset_id: str) -> tuple[dict[str, Any], timedelta]:
        key = keys.dataset(tenant, dataset_id)
        data, milliseconds = await self._client.get(key), await self._client.pttl(key)
        # Ids never contain a colon; one that does must not reach a piece or another tenant's name.
        if data is None or ":" in dataset_id:
            raise UnknownDataset(dataset_id)
        return json.loads(data), timedelta(milliseconds=max(0, milliseconds))


def record_fields(
    shape: Sequence[int], dtype: str, digest: str, masked: bool, size: int
) -> dict[str, Any]:
    """What the record of a new dataset says of its content."""
    return {
        "shape": list(shape),
        "dtype": dtype,
        "digest": digest,
        "masked": masked,
        "bytes": size,
        "created_at": datetime.now(UTC).isoformat(),
    }


def _pieces(tenant: str, fields: dict[str, Any]) -> list[str]:
    """The names of a dataset's pieces, in order."""
    return [keys.piece(tenant, fields["stored"], number) for number in range(fields["pieces"])]


def _decode(data: np.ndarray, fields: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    x = values_in(data, fields)
    return x, mask_in(data, x.shape, x.nbytes) if fields["masked"] else None
