"""Open datasets: filled part by part, in any order and any number of times, then sealed.

    open --fill(k)--> open --seal--> sealing --> sealed: a dataset like one that was uploaded whole

Part k is the rows from k * part_rows on. Once the last part is there and the upload is sealed, its
pieces become the dataset's as they are: nothing is copied. An upload lives for `ttl` from its
beginning, whatever happens to it; then its bytes and its booking of the quota are gone together.
"""

import asyncio
import hashlib
import json
import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from service.errors import OverLimit, PartsMissing, TooMuch, UnknownDataset, UploadClosed
from service.store import holding, keys
from service.store.array_bytes import little_endian, mask_in, mask_of, mask_size, values_of
from service.store.connection import now, raw, store_with_room
from service.store.dataset_scripts import ABANDON, CLOSE, FILL, SEAL
from service.store.datasets import Dataset, DatasetStore, digest_header, record_fields

# One Redis value each: what one command writes while the server does nothing else.
MAX_PART_BYTES = 64 << 20
# What a part has when the client does not say.
PART_BYTES = 8 << 20
MAX_PARTS = 10_000
# What its record takes for each part, as MEMORY USAGE says.
PART_FIELD = 128
# As `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {"max_part_bytes": MAX_PART_BYTES, "max_parts": MAX_PARTS}


@dataclass(frozen=True)
class Upload:
    """An open dataset. `dtype` is "<f4" or "<f8"; `received` holds the parts that are there and
    `digests` what is in each of them (`part_digest`); `dataset` is what it became."""

    id: str
    state: Literal["open", "sealing", "sealed"]
    shape: tuple[int, ...]
    dtype: str
    masked: bool
    bytes: int
    part_rows: int
    received: tuple[int, ...]
    digests: tuple[str, ...]
    dataset: str | None
    created_at: datetime
    expires_at: datetime

    @property
    def parts(self) -> int:
        """How many parts there are to be."""
        return -(-self.shape[0] // self.part_rows)

    def rows(self, part: int) -> int:
        """Rows of one part; the last one may have fewer."""
        return min(self.part_rows, self.shape[0] - part * self.part_rows)


class UploadStore:
    """Open datasets on Redis A."""

    def __init__(self, client: Redis, datasets: DatasetStore, ttl: timedelta, quota: int) -> None:
        self._client = client
        self._datasets = datasets
        self._ttl = ttl
        self._quota = quota
        self._fill = client.register_script(FILL)
        self._close = client.register_script(CLOSE)
        self._keep = client.register_script(SEAL)
        self._abandon = client.register_script(ABANDON)

    async def open(
        self, tenant: str, shape: tuple[int, ...], dtype: str, masked: bool, part_rows: int | None,
        upload_id: str,
    ) -> Upload:  # fmt: skip
        """Announce an array of `shape` (n, ..., channels) and book its bytes.

        `upload_id` is one of `new_id`; an upload of this id that is there already stays as it is.
        Raises OverLimit: the quota, or parts that are too large or too many.
        """
        kind = little_endian(dtype)
        row = math.prod(shape[1:]) * kind.itemsize
        size = shape[0] * row + (mask_size(shape) if masked else 0)
        if size > self._quota:
            # 2^53: JSON readers lose digits of larger integers.
            raise OverLimit(
                "max_input_bytes", self._quota, min(size, 2**53),
                f"an array of shape {list(shape)} would take more than the {self._quota} bytes "
                "that one tenant may keep",
            )  # fmt: skip
        rows = part_rows or max(1, PART_BYTES // row, -(-shape[0] // MAX_PARTS))
        rows = min(rows, shape[0])
        if rows * row > MAX_PART_BYTES:
            raise TooMuch(
                "max_part_bytes", MAX_PART_BYTES, rows * row,
                f"a part of {rows} rows would have {rows * row} bytes, {MAX_PART_BYTES} are "
                "allowed; choose fewer part_rows",
            )  # fmt: skip
        if -(-shape[0] // rows) > MAX_PARTS:
            raise TooMuch(
                "max_parts", MAX_PARTS, -(-shape[0] // rows),
                f"parts of {rows} rows would be more than {MAX_PARTS}; choose more part_rows",
            )  # fmt: skip
        moment = await now(self._client)
        expiry = math.ceil(moment + self._ttl.total_seconds())
        booked = {f"upload:{upload_id}": size + PART_FIELD * -(-shape[0] // rows)}
        async with (
            store_with_room(self._client),
            holding.holding(self._client, tenant, booked, self._ttl, self._quota),
        ):
            about = {
                "shape": list(shape), "dtype": kind.str, "masked": masked, "bytes": size,
                "part_rows": rows, "created_at": moment, "expires_at": expiry,
            }  # fmt: skip
            key = keys.upload(tenant, upload_id)
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hsetnx(key, "about", json.dumps(about))
                pipe.hsetnx(key, "state", "open")
                pipe.expireat(key, expiry)
                await pipe.execute()
        return await self.get(tenant, upload_id)

    async def get(self, tenant: str, upload_id: str) -> Upload:
        """The upload as it stands; raises UnknownDataset."""
        found: dict[bytes, bytes] = raw(await self._client.hgetall(keys.upload(tenant, upload_id)))
        if b"about" not in found or ":" in upload_id:
            raise UnknownDataset(upload_id)
        about: dict[str, Any] = json.loads(found[b"about"])
        for name in ("created_at", "expires_at"):
            about[name] = datetime.fromtimestamp(about[name], UTC)
        shape = tuple(about.pop("shape"))
        parts = sorted(
            (int(name[5:]), digest.decode())
            for name, digest in found.items()
            if name.startswith(b"part:")
        )
        sealed: bytes | None = found.get(b"dataset")
        state: Any = found[b"state"].decode()
        return Upload(
            id=upload_id, state=state, shape=shape, received=tuple(part for part, _ in parts),
            digests=tuple(digest for _, digest in parts), dataset=None if sealed is None else sealed.decode(), **about,
        )  # fmt: skip

    async def fill(
        self, tenant: str, upload: Upload, part: int, x: np.ndarray, mask: np.ndarray | None
    ) -> None:
        """Store one part, whose shape and dtype are right; it may have been there already.

        Raises UploadClosed when the upload is being sealed or is sealed, UnknownDataset when it is
        gone.
        """
        number = secrets.token_hex(16)
        came, came_mask = (keys.incoming(tenant, number + suffix) for suffix in ("", "m"))
        data, bits = values_of(x), mask_of(mask)
        digest = await asyncio.to_thread(part_digest, data, bits)
        async with store_with_room(self._client):
            try:
                await self._client.set(came, data, ex=keys.INCOMING)
                if mask is not None:
                    await self._client.set(came_mask, bits, ex=keys.INCOMING)
                state: bytes = await self._fill(
                    keys=[
                        keys.upload(tenant, upload.id), came, keys.piece(tenant, upload.id, part),
                        came_mask, keys.upload_mask(tenant, upload.id, part),
                    ],
                    args=[
                        part, digest, math.ceil(upload.expires_at.timestamp()),
                        int(mask is not None),
                    ],
                )  # fmt: skip
            except OutOfMemoryError:
                # What came first fitted, and would fill the store for nothing.
                await self._client.delete(came, came_mask)
                raise
        if not state:
            raise UnknownDataset(upload.id)
        if state != b"open":
            raise UploadClosed(upload.id, state.decode())

    async def seal(self, tenant: str, upload_id: str) -> Dataset:
        """Make a dataset of the upload; sealing it again answers the same one.

        Raises PartsMissing, UnknownDataset, OverLimit (a full store). A process that dies on the way
        leaves an upload that takes no more parts and can be sealed again.
        """
        upload = await self.get(tenant, upload_id)
        async with store_with_room(self._client):
            state: bytes = await self._close(
                keys=[keys.upload(tenant, upload_id)], args=[upload.parts]
            )
        upload = await self.get(tenant, upload_id)
        if state == b"open":
            there = set(upload.received)
            raise PartsMissing([part for part in range(upload.parts) if part not in there])
        if upload.dataset is None:
            async with store_with_room(self._client):
                await self._seal(tenant, upload)
            upload = await self.get(tenant, upload_id)
        if upload.dataset is None:
            raise UnknownDataset(upload_id)
        dataset = await self._datasets.renew(tenant, upload.dataset)
        if dataset is None:
            raise UnknownDataset(upload_id)
        return dataset

    async def _seal(self, tenant: str, upload: Upload) -> None:
        mask = await self._mask(tenant, upload)
        digest = hashlib.sha256(digest_header(upload.shape, upload.dtype, mask is not None))
        for part in range(upload.parts):
            data = raw(await self._client.get(keys.piece(tenant, upload.id, part)))
            if data is None:  # deleted meanwhile
                raise UnknownDataset(upload.id)
            await asyncio.to_thread(digest.update, data)
        pieces, bits = upload.parts, b""
        if mask is not None:
            bits = mask_of(mask)
            digest.update(bits)
            await self._client.set(
                keys.piece(tenant, upload.id, pieces), bits,
                exat=math.ceil(upload.expires_at.timestamp()),
            )  # fmt: skip
            pieces += 1
        content = digest.hexdigest()
        dataset_id = await self._datasets.identity(tenant, content)
        size = math.prod(upload.shape) * np.dtype(upload.dtype).itemsize + len(bits)
        fields = record_fields(upload.shape, upload.dtype, content, mask is not None, size)
        text = json.dumps(fields | {"stored": upload.id, "pieces": pieces})
        await self._keep(
            keys=[*self._datasets.names(tenant, dataset_id), keys.upload(tenant, upload.id)],
            args=[
                *await self._datasets.about(tenant, dataset_id), text, upload.id,
                keys.upload_mask(tenant, upload.id, ""), holding.OVERHEAD,
                upload.expires_at.timestamp(),
            ],
        )  # fmt: skip

    async def _mask(self, tenant: str, upload: Upload) -> np.ndarray | None:
        """The mask of all parts; None when every position is real, as for one uploaded whole."""
        if not upload.masked:
            return None
        mask = np.ones(upload.shape[:-1], np.bool_)
        for part in range(upload.parts):
            bits = raw(await self._client.get(keys.upload_mask(tenant, upload.id, part)))
            if bits is not None:
                rows = mask[part * upload.part_rows :][: upload.rows(part)]
                rows[...] = mask_in(bits, (*rows.shape, upload.shape[-1]))
        return None if mask.all() else mask

    async def delete(self, tenant: str, upload: Upload) -> str | None:
        """Forget an upload, with its parts and its booking; or, when it has been sealed meanwhile, whose parts
        those of its dataset are, the id of that."""
        sealed: bytes | None = raw(
            await self._abandon(
                keys=[keys.upload(tenant, upload.id), *holding.books_of(tenant)],
                args=[
                    upload.id, keys.piece(tenant, upload.id, ""),
                    keys.upload_mask(tenant, upload.id, ""), upload.parts + 1,
                ],
            )
        )  # fmt: skip
        return None if sealed is None else sealed.decode()


def part_digest(values: bytes, mask_bits: bytes) -> str:
    """SHA-256 (hex) of one part as it is stored: so a client that comes back sees whether it has the
    same."""
    return hashlib.sha256(values + mask_bits).hexdigest()


def new_id() -> str:
    """An id for a new upload."""
    return "u" + secrets.token_hex(15)


def is_upload(dataset_id: str) -> bool:
    """Whether an id is that of an upload; ids of datasets begin otherwise."""
    return dataset_id.startswith("u")
