"""Where the numbers of a tile belong: in a whole result, and mirrored in a symmetric one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.plan.tiles import Tile, TilePlan

_STRIPE: Final = 128
"""Rows that are transposed at once: they stay in cache while their columns are read."""

_APART: Final = 16
"""Numbers between rows that are read by columns: rows whose length is a power of two begin in a few
sets of the cache, which then holds no more than some of them. A third of the time of a whole tile,
and four fifths of that of 16 rows at once, which need nothing between them."""


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
    for rows in _stripes(len(values)):
        target[:, rows] = mirrored(_apart(values[rows]))


def symmetric(upper: npt.NDArray[Any], diagonal: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, n, ...) from the entries right of its diagonal, and those on it, (n, ...)."""
    matrix, n = np.empty_like(upper), len(upper)
    size = min(_STRIPE, n)
    lower = np.tri(size, k=-1, dtype=bool).reshape(size, size, *[1] * (upper.ndim - 2))
    for rows in _stripes(n):
        kept = _apart(upper[rows, rows.start :])
        matrix[rows, rows.start :] = kept
        block = matrix[rows, rows]
        np.copyto(block, mirrored(kept[:, : len(block)]), where=lower[: len(block), : len(block)])
        matrix[rows.stop :, rows] = mirrored(kept[:, len(block) :])
    matrix[np.arange(n), np.arange(n)] = diagonal
    return matrix


def _apart(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of a stripe whose rows lie apart in memory; a stripe whose entries have axes is not copied."""
    if rows.ndim > 2:
        return rows
    apart = np.empty((len(rows), rows.shape[1] + _APART), rows.dtype)[:, : rows.shape[1]]
    apart[:] = rows
    return apart


def _index(rows: Sequence[int]) -> slice | list[int]:
    """A slice where rows follow each other, which copies many times as fast as a list."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(rows[0], rows[-1] + 1)
    return list(rows)


def _stripes(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _STRIPE, n)) for start in range(0, n, _STRIPE))
