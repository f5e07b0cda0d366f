"""Windows of convolutions and pools over the flat blocks of position pairs, offset by offset."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Window:
    """One window: its sizes, strides and padding ("same", "valid" or "circular")."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """The output's position grid."""
        if self.padding == "valid":
            counts = zip(grid, self.sizes, self.strides, strict=True)
            return tuple((n - size) // stride + 1 for n, size, stride in counts)
        return tuple(-(-n // stride) for n, stride in zip(grid, self.strides, strict=True))

    def low(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """The padding in front of each axis."""
        if self.padding == "valid":
            return (0,) * len(grid)
        axes = zip(grid, self.grid(grid), self.sizes, self.strides, strict=True)
        return tuple(max((out - 1) * step + size - n, 0) // 2 for n, out, size, step in axes)

    def source(
        self, place: tuple[int, ...], offset: tuple[int, ...], grid: tuple[int, ...]
    ) -> int | None:
        """The flat input position under `offset` of the window at output `place`; None outside."""
        axes = zip(place, self.strides, offset, self.low(grid), strict=True)
        position = [p * step + d - low for p, step, d, low in axes]
        if self.padding == "circular":
            position = [p % n for p, n in zip(position, grid, strict=True)]
        if any(not 0 <= p < n for p, n in zip(position, grid, strict=True)):
            return None
        return int(np.ravel_multi_index(position, grid))

    def selection(self, offset: tuple[int, ...], grid: tuple[int, ...]) -> Array:
        """The 0/1 matrix (outputs, inputs) that picks what lies under one offset."""
        places = list(np.ndindex(*self.grid(grid)))
        matrix = np.zeros((len(places), int(np.prod(grid))))
        for row, place in enumerate(places):
            source = self.source(place, offset, grid)
            if source is not None:
                matrix[row, source] = 1.0
        return matrix

    def offsets(self) -> list[tuple[int, ...]]:
        """Every offset within the window."""
        return list(product(*(range(size) for size in self.sizes)))

    def mask(self, mask: Array, grid: tuple[int, ...]) -> Array:
        """The output's mask: that of the position (window - 1) // 2, or unchanged with the grid."""
        if self.grid(grid) == grid:
            return mask
        middle = tuple((size - 1) // 2 for size in self.sizes)
        sources = [self.source(place, middle, grid) for place in np.ndindex(*self.grid(grid))]
        assert None not in sources
        return mask[np.array(sources, int)]


def joint_sum(block: Array, one: tuple[int, ...], two: tuple[int, ...], window: Window) -> Array:
    """Sum over offsets d of block[p + d, p' + d]: shared weights meet only themselves."""
    return sum(
        window.selection(d, one) @ block @ window.selection(d, two).T for d in window.offsets()
    )


def box_sum(block: Array, one: tuple[int, ...], two: tuple[int, ...], window: Window) -> Array:
    """Sum over offsets d and e of block[p + d, p' + e]: a pool adds up each input's own window."""
    left = sum(window.selection(d, one) for d in window.offsets())
    right = sum(window.selection(e, two) for e in window.offsets())
    return left @ block @ right.T
