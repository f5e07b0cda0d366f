"""Reading tiles for one run after the other: ahead of their use, and once where there is room."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import numpy as np

# Tiles that a later run reads again: those that the end of a run cuts, and mirror images.
HELD_TILE_BYTES = 64 << 20

Item = TypeVar("Item")
ReadTiles = Callable[[Sequence[int]], Awaitable[Sequence[np.ndarray]]]


class HeldTiles:
    """Reads tiles, and keeps those that are read again while there is room.

    uses: how often each tile will be taken.
    """

    def __init__(self, uses: Counter[int], read: ReadTiles) -> None:
        self._uses = uses
        self._read = read
        self._kept: dict[int, np.ndarray] = {}
        self._room = HELD_TILE_BYTES

    async def take(self, indices: Sequence[int]) -> dict[int, np.ndarray]:
        """The tiles, for one of their uses."""
        missing = [index for index in indices if index not in self._kept]
        tiles = dict(zip(missing, await self._read(missing), strict=True)) if missing else {}
        for index in indices:
            self._uses[index] -= 1
            if index in tiles:
                if self._uses[index] and tiles[index].nbytes <= self._room:
                    self._kept[index] = tiles[index]
                    self._room -= tiles[index].nbytes
            else:
                tiles[index] = self._kept[index]
                if not self._uses[index]:
                    self._room += self._kept.pop(index).nbytes
        return tiles


async def ahead(items: AsyncGenerator[Item, None], most: int = 1) -> AsyncGenerator[Item, None]:
    """Yields the items in their order, and has the next ones made while one is used: `most` of them at
    most. Closes `items` at its end."""
    if most > 1:
        items = ahead(items, most - 1)
    coming = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await coming) is not None:
            coming = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await items.aclose()
