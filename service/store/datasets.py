"""Uploaded arrays, content-addressed per tenant: the same bytes are stored once."""

import asyncio
import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis

from service.errors import UnknownDataset
from service.store import dataset_scripts, holding, keys
from service.store.array_bytes import little_endian, mask_in, mask_of, values_in
from service.store.connection import now, raw, store_with_room
from service.store.tenants import Tenants
from service.store.tiles import TileStore

# One Redis value each; small enough that no command holds the server for long.
PIECE = 8 << 20
# Digests that one step adds to what was made from a dataset, or takes from it.
BATCH = 5_000
# What a set takes for each, as MEMORY USAGE says.
DIGEST_BYTES = 96


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
        there = await self.renew(tenant, dataset_id)
        if there is not None:
            return there
        fields = record_fields(
            x.shape, little_endian(x.dtype).str, digest, mask is not None, len(data)
        )
        return await self._write(tenant, dataset_id, data, fields)

    async def _write(
        self, tenant: str, dataset_id: str, data: bytes, fields: dict[str, Any]
    ) -> Dataset:
        """All of a dataset, or nothing. Of several who write the same content at once one succeeds, and all
        have its dataset."""
        # Nobody else writes under this name: a reader of the same content is not disturbed.
        starts = range(0, len(data), PIECE)
        fields = fields | {"stored": secrets.token_hex(16), "pieces": len(starts)}
        text, names = json.dumps(fields), _pieces(tenant, fields)
        booked = {f"pieces:{fields['stored']}": len(data)}
        await holding.hold(self._client, tenant, booked, keys.INCOMING, self._quota)
        try:
            for name, start in zip(names, starts, strict=True):
                await self._client.set(name, data[start : start + PIECE], ex=keys.INCOMING)
            # The record comes last: a dataset that can be seen is complete.
            kept = await self._step(dataset_scripts.KEEP, tenant, dataset_id, text)
        except BaseException:
            # The record may have been written, and only the news of that been lost: then it stands.
            await self._step(dataset_scripts.TAKE_BACK, tenant, dataset_id, text)
            raise
        return self._dataset(dataset_id, kept)

    async def _step(
        self, script: str, tenant: str, dataset_id: str, *args: str | bytes | int
    ) -> Any:
        """One of `dataset_scripts`."""
        return raw(
            await self._client.register_script(script)(
                keys=self.names(tenant, dataset_id),
                args=[*await self.about(tenant, dataset_id), *args],
            )
        )

    def names(self, tenant: str, dataset_id: str) -> list[str]:
        """The keys that all of `dataset_scripts` work on."""
        record, made = keys.dataset(tenant, dataset_id), keys.made(tenant, dataset_id)
        return [record, made, *holding.books_of(tenant)]

    async def about(self, tenant: str, dataset_id: str) -> list[str | int | float]:
        """The arguments that all of `dataset_scripts` take."""
        seconds = self.ttl.total_seconds()
        expiry = await now(self._client) + seconds
        pieces = keys.dataset(tenant, "")
        return [dataset_id, pieces, holding.OVERHEAD, math.ceil(seconds), expiry]

    def _dataset(self, dataset_id: str, record: bytes) -> Dataset:
        """What has its full lifetime now."""
        return Dataset(id=dataset_id, expires_at=datetime.now(UTC) + self.ttl, **json.loads(record))

    async def identity(self, tenant: str, digest: str) -> str:
        """The id that content of this digest has for the tenant."""
        secret = await self._tenants.secret(tenant)
        return "d" + hmac.new(secret, digest.encode(), hashlib.sha256).hexdigest()[:31]

    async def renew(self, tenant: str, dataset_id: str) -> Dataset | None:
        """Give a dataset, and what is booked for it, its full lifetime again; None when it (or a piece of it)
        is not there."""
        # Ids never contain a colon; one that does must not reach a piece or another tenant's name.
        found = (
            None
            if ":" in dataset_id
            else await self._step(dataset_scripts.RENEW, tenant, dataset_id)
        )
        return None if found is None else self._dataset(dataset_id, found)

    async def get(self, tenant: str, dataset_id: str) -> Dataset:
        """What is known about the dataset; raises UnknownDataset."""
        fields, left = await self._record(tenant, dataset_id)
        expires = datetime.now(UTC) + left
        return Dataset(id=dataset_id, expires_at=expires, **fields)

    async def load(self, tenant: str, dataset_id: str) -> tuple[np.ndarray, np.ndarray | None]:
        """The array and its mask, as uploaded (little-endian); raises UnknownDataset."""
        if await self.renew(tenant, dataset_id) is None:
            raise UnknownDataset(dataset_id)
        fields, _ = await self._record(tenant, dataset_id)
        names = _pieces(tenant, fields)
        # Piece by piece into its place: together, pieces and whole would take twice the memory.
        data, filled = np.zeros(fields["bytes"], np.uint8), 0
        for name in names:
            piece: bytes | None = raw(await self._client.get(name))
            if piece is None:
                raise UnknownDataset(dataset_id)
            data[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        return await asyncio.to_thread(_decode, data, fields)

    async def delete(self, tenant: str, dataset_id: str) -> None:
        """Remove the dataset and the tiles made from it; raises UnknownDataset.

        Jobs made from it keep their own rows: those that run go on, and what is fetched of those
        that have ended is computed again.
        """
        await self._record(tenant, dataset_id)
        made, gone = keys.made(tenant, dataset_id), False
        while not gone:
            members: list[bytes] = [*raw(await self._client.smembers(made))]
            # The tiles go first: should their store be away, the dataset stays and can be deleted later.
            await self._tiles.delete(tenant, [digest.hex() for digest in members])
            for start in range(0, len(members), BATCH):
                await self._client.srem(made, *members[start : start + BATCH])
            # What a new job is going to make has come meanwhile, or all goes at once.
            uploads = keys.upload(tenant, "")
            gone = await self._step(dataset_scripts.DELETE, tenant, dataset_id, uploads)

    async def remember(
        self, tenant: str, dataset_ids: Iterable[str], digests: Sequence[str]
    ) -> None:
        """Note the tiles that a job is going to make from these datasets, for `delete`."""
        members = [bytes.fromhex(digest) for digest in digests]
        for dataset_id in dataset_ids:
            for start in range(0, len(members), BATCH):
                batch = members[start : start + BATCH]
                await self._step(dataset_scripts.REMEMBER, tenant, dataset_id, DIGEST_BYTES, *batch)

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
