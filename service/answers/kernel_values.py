"""What a worker reads of kernel jobs: whole matrices, diagonals or stripes of rows, in float64."""

from collections.abc import AsyncIterator, Sequence

import numpy as np

from service.errors import Evicted
from service.jobs.jobs import Jobs
from service.records import Layout
from service.results.windows import open_window
from service.store.tiles import TileStore

FLOAT64 = np.dtype(np.float64)


class KernelValues:
    """One kernel job whose tiles have all been computed."""

    def __init__(self, jobs: Jobs, tiles: TileStore, layout: Layout) -> None:
        self._jobs = jobs
        self._tiles = tiles
        self.layout = layout

    async def recompute(self) -> Sequence[int]:
        """Ask for the tiles that were evicted; returns them."""
        return await self._jobs.recompute(self.layout, range(len(self.layout.digests)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each result."""
        return self.layout.plan.shape

    async def whole(self, output: str) -> np.ndarray:
        """One result in the caller's order; raises Evicted."""
        values = np.empty(self.shape, FLOAT64)
        flat, filled = values.reshape(-1), 0
        async for run in self.stripes(output):
            flat[filled : filled + run.size] = run.reshape(-1)
            filled += run.size
        return values

    async def stripes(self, output: str) -> AsyncIterator[np.ndarray]:
        """One result in the caller's order, a few whole rows at a time, as `service.results.windows` cuts
        them; raises Evicted."""
        plan = self.layout.plan
        window = open_window(self.layout, output, range(plan.n1), range(plan.n2))
        async for run in window.runs(FLOAT64, lambda indices: self._tiles_of(indices, output)):
            yield run

    async def tile(self, index: int, output: str) -> np.ndarray:
        """One tile as it is stored; raises Evicted."""
        return (await self._tiles_of([index], output))[0]

    async def _tiles_of(self, indices: Sequence[int], output: str) -> list[np.ndarray]:
        names = [self.layout.digests[index] for index in indices]
        found = await self._tiles.read_many(self.layout.record.tenant, names, output)
        there = [values for values in found if values is not None]
        if len(there) < len(names):
            raise Evicted(f"{len(names) - len(there)} tiles of kernel job {self.layout.record.id}")
        return there
