"""Results whose tiles may have been evicted since they were computed: those are computed again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import numpy as np

from service.errors import TilesMissing
from service.records import Layout
from service.results.windows import Window
from service.state import Service

# How long a fetch waits for evicted tiles to be computed again before it answers 503.
RECOMPUTE_SECONDS = 20.0


async def runs_of(
    service: Service, tenant: str, layout: Layout, part: Window | None, dtype: np.dtype
) -> AsyncGenerator[np.ndarray, None]:
    """The window's runs; a tile that is evicted while they are sent is computed again."""
    if part is None:  # nothing but bytes of the .npy header
        return
    output = part.output

    async def read(indices: Sequence[int]) -> list[np.ndarray]:
        found = await once(indices)
        missing = [index for index in indices if index not in found]
        if missing:
            await service.jobs.ensure_tiles(layout, missing, RECOMPUTE_SECONDS)
            found |= await once(missing)
        if len(found) < len(indices):
            raise TilesMissing(len(indices) - len(found), retry_after=1)
        return [found[index] for index in indices]

    async def once(indices: Sequence[int]) -> dict[int, np.ndarray]:
        names = [layout.digests[index] for index in indices]
        values = await service.tiles.read_many(tenant, names, output)
        return {
            index: value for index, value in zip(indices, values, strict=True) if value is not None
        }

    async for run in part.runs(dtype, read):
        yield run
