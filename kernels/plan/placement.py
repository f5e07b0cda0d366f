"""Where the numbers of a tile belong: in a whole result, and mirrored in a symmetric one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.plan.tiles import Tile, TilePlan

_STRIPE: Final = 16
"""Rows that are transposed at once: each line of the cache is then read or written for all of its
numbers, not once for each. A quarter of the time of a whole tile in float32."""


def place(result: npt.NDArray[Any], plan: TilePlan, tile: Tile, values: npt.NDArray[Any]) -> None:
    """Writes a tile, and its mirror image in a symmetric plan, into a full result of plan.shape."""
    rows, cols = plan.groups1[tile.row].rows, plan.groups2[tile.col].rows
    if plan.form == "diagonal":
        result[_index(rows)] = values
        return
    at, to = _index(rows), _index(cols)
    adjacent = isinstance(at, slice) and isinstance(to, slice)
    result[(at, to) if adjacent else np.ix_(rows, cols)] = values
    if not plan.symmetric or plan.is_diagonal(tile):
        return
    if adjacent:
        write_mirrored(result[to, at], values)
    else:
        result[np.ix_(cols, rows)] = mirrored(values)


def mirrored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """K(x', x) from K(x, x'), (rows, cols, *grid, *grid'): both pairs of axes change places."""
    rank = (values.ndim - 2) // 2
    first, second = range(2, 2 + rank), range(2 + rank, values.ndim)
    return values.transpose(1, 0, *second, *first)


def write_mirrored(target: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
    """target = mirrored(values), (cols, rows, ...) from (rows, cols, ...)."""
    turned = mirrored(values)
    for rows in _stripes(len(values)):
        target[:, rows] = turned[:, rows]


def symmetric(upper: npt.NDArray[Any], diagonal: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, n, ...) from the entries right of its diagonal, and those on it, (n, ...)."""
    matrix, n = np.array(upper), len(upper)
    lower = np.tri(_STRIPE, k=-1, dtype=bool).reshape(_STRIPE, _STRIPE, *[1] * (upper.ndim - 2))
    for rows in _stripes(n):
        block = matrix[rows, rows]
        np.copyto(block, mirrored(block).copy(), where=lower[: len(block), : len(block)])
        matrix[rows.stop :, rows] = mirrored(upper[rows, rows.stop :])
    matrix[np.arange(n), np.arange(n)] = diagonal
    return matrix


def _index(rows: Sequence[int]) -> slice | list[int]:
    """A slice where rows follow each other, which copies many times as fast as a list."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(rows[0], rows[-1] + 1)
    return list(rows)


def _stripes(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _STRIPE, n)) for start in range(0, n, _STRIPE))
