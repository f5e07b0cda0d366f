"""Arrays of any size in the tile store: cut into stripes of rows, each of them a tile.

They live, are evicted and are purged as tiles are. A stripe's digest follows from the array's base
(which only a tenant's secret can make), its name and its number. What is lower triangular is stored
without most of its zeros.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from service.store.tiles import TileStore

STRIPE_BYTES = 8 << 20


@dataclass(frozen=True)
class StoredArray:
    """Where an array is, and what was noted beside it."""

    tenant: str
    base: str
    name: str
    shape: tuple[int, ...]
    height: int
    lower: bool
    about: Mapping[str, Any]

    @property
    def digests(self) -> list[str]:
        """Of its stripes, in order; stripe s has the rows from s * height on."""
        return [stripe_digest(self.base, self.name, s) for s in range(_stripes(self))]


def _stripes(array: StoredArray) -> int:
    return -(-array.shape[0] // array.height)


def stripe_digest(base: str, name: str, stripe: int) -> str:
    """SHA-256 (hex) of a stripe's place."""
    return hashlib.sha256(f"{base}:{name}:{stripe}".encode()).hexdigest()


class ArrayStore:
    """Whole arrays on the tile store; any stripe can be evicted between two calls."""

    def __init__(self, tiles: TileStore) -> None:
        self._tiles = tiles

    def plan(
        self, tenant: str, base: str, name: str, array: np.ndarray, *, lower: bool = False
    ) -> StoredArray:
        """Where an array is going to be; `lower` says that it is zero above the diagonal."""
        row = max(1, prod(array.shape[1:]) * array.dtype.itemsize)
        height = max(1, STRIPE_BYTES // row)
        return StoredArray(tenant, base, name, array.shape, height, lower, {})

    async def write(self, place: StoredArray, array: np.ndarray, about: Mapping[str, Any]) -> None:
        """Store an array at its planned place, with a few JSON values beside it."""
        header = {"shape": list(place.shape), "height": place.height, "lower": place.lower}
        meta = {"array": header, "about": dict(about)}
        for stripe, digest in enumerate(place.digests):
            start = stripe * place.height
            stop = min(start + place.height, len(array))
            values = array[start:stop, :stop] if place.lower else array[start:stop]
            await self._tiles.write(place.tenant, digest, {place.name: values}, meta)

    async def find(self, tenant: str, base: str, name: str) -> StoredArray | None:
        """The array, when every stripe of it is there; they get their full lifetime again."""
        meta = await self._tiles.meta(tenant, stripe_digest(base, name, 0))
        if meta is None:
            return None
        header = meta["array"]
        shape = tuple(header["shape"])
        found = StoredArray(
            tenant, base, name, shape, header["height"], header["lower"], meta["about"]
        )
        there = await self._tiles.renew(tenant, found.digests)
        return found if all(there) else None

    async def stripe(self, array: StoredArray, stripe: int) -> np.ndarray | None:
        """The rows of one stripe (of a lower triangle, without the zeros behind them), or None."""
        digest = stripe_digest(array.base, array.name, stripe)
        return await self._tiles.read(array.tenant, digest, array.name)

    async def read(self, array: StoredArray) -> np.ndarray | None:
        """The whole array, or None when part of it has been evicted."""
        values: np.ndarray | None = None
        for stripe in range(_stripes(array)):
            part = await self.stripe(array, stripe)
            if part is None:
                return None
            if values is None:
                values = np.zeros(array.shape, part.dtype)
            start = stripe * array.height
            await asyncio.to_thread(_fill, values, part, start, array.lower)
        return values


def _fill(values: np.ndarray, part: np.ndarray, start: int, lower: bool) -> None:
    stop = start + len(part)
    if lower:
        values[start:stop, :stop] = part
    else:
        values[start:stop] = part
