"""The tile store: most tiles in Redis B, those of results too large for it in an object store.

A tile's name says where it is: a digest (64 hexadecimal digits) is in Redis, a digest with FAR behind
it in the object store. So nobody else needs to know, and both kinds can be waited for, handed out
and forgotten alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.errors import ResultStoreClosed
from service.store.cached_tiles import CachedTiles
from service.store.far_tiles import FarTiles

# One output of one tile: half of what Redis allows a value to have (proto-max-bulk-len).
MAX_TILE_BYTES = 256 << 20
# Hexadecimal, as the rest of the name.
FAR = "fa"
DIGEST_LENGTH = 64


def far_name(digest: str) -> str:
    """The name of the tile in the object store."""
    return digest + FAR


def is_far(name: str) -> bool:
    """Whether the tile of this name is kept in the object store."""
    return len(name) > DIGEST_LENGTH and name.endswith(FAR)


class TileStore:
    """Tiles of all tenants. Any tile can vanish between two calls; callers get None and have it
    computed again."""

    def __init__(self, cached: CachedTiles, far: FarTiles | None = None) -> None:
        self._cached = cached
        self.far = far

    async def write(
        self, tenant: str, name: str, values: Mapping[str, np.ndarray], meta: Mapping[str, Any]
    ) -> None:
        """Store one tile: its outputs, all of one shape and dtype, and what made it (`meta`).

        Raises OutOfMemoryError while there is no room, ResultStoreAway while there is no store.
        """
        await self._of(name).write(tenant, name, values, meta)

    async def read(self, tenant: str, name: str, output: str) -> np.ndarray | None:
        """The values of one output, in their shape, or None when the tile is not there."""
        return (await self.read_many(tenant, [name], output))[0]

    async def read_many(
        self, tenant: str, names: Sequence[str], output: str
    ) -> list[np.ndarray | None]:
        """`read` of many tiles of one kind."""
        return await self._of(*names[:1]).read(tenant, names, output)

    async def meta(self, tenant: str, name: str) -> dict[str, Any] | None:
        """What made the tile (versions, device, seconds), or None when it is not there."""
        return (await self.metas(tenant, [name]))[0]

    async def metas(self, tenant: str, names: Sequence[str]) -> list[dict[str, Any] | None]:
        """`meta` of many tiles of one kind."""
        return await self._of(*names[:1]).metas(tenant, names)

    async def renew(self, tenant: str, names: Sequence[str]) -> list[bool]:
        """Give tiles, all of one kind, their full lifetime again; which of them are there."""
        return await self._of(*names[:1]).renew(tenant, names)

    async def present(self, tenant: str, names: Sequence[str]) -> list[bool]:
        """Which of the tiles, all of one kind, are there; they live no longer for it."""
        return await self._of(*names[:1]).present(tenant, names)

    async def delete(self, tenant: str, names: Sequence[str]) -> None:
        """Throw the tiles away; those that are not there are no matter."""
        await self._cached.delete(tenant, [name for name in names if not is_far(name)])
        far = [name for name in names if is_far(name)]
        if far:
            await self._of(far[0]).delete(tenant, far)

    def _of(self, name: str = "") -> CachedTiles | FarTiles:
        if not is_far(name):
            return self._cached
        if self.far is None:
            raise ResultStoreClosed(
                "this result is in an object store that is not configured here any more"
                " (GRAMD_RESULTS_URL)"
            )
        return self.far
