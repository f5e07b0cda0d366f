"""What of a result is asked for, assembled from tiles in the caller's order, run by run.

    Layout -> open_window()   the rows (and columns) of one output
           -> needed()        the tiles that hold them, all there before the first byte is sent
           -> runs()          its elements in C order, at most RUN_BYTES (or one entry) at a time

What is held at any time is one run and the tiles read last, never the whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from math import prod
from typing import Any

import numpy as np
from anyio.to_thread import run_sync

from kernels.plan.placement import mirrored
from kernels.plan.tiles import RowGroup
from service.records import Layout

RUN_BYTES = 8 << 20
# Tiles that the next run reads again: those that the end of a run cuts, and mirror images.
HELD_TILE_BYTES = 64 << 20

ReadTile = Callable[[int], Awaitable[np.ndarray]]
Index = slice | np.ndarray


class Side:
    """Where the rows of one side are: caller's row -> group, and its place in the group."""

    def __init__(self, groups: tuple[RowGroup, ...], length: int) -> None:
        self.group = np.empty(length, np.int32)
        self.place = np.empty(length, np.int32)
        for number, group in enumerate(groups):
            rows = np.asarray(group.rows, np.intp)
            self.group[rows] = number
            self.place[rows] = np.arange(len(rows))

    def pieces(self, span: range) -> list[tuple[int, Index, Index]]:
        """For the groups that hold rows of `span`: group, where in the span, where in the group."""
        groups = self.group[span.start : span.stop]
        places = self.place[span.start : span.stop]
        found: list[tuple[int, Index, Index]] = []
        for number in np.unique(groups).tolist():
            (where,) = np.nonzero(groups == number)
            found.append((number, _run(where), _run(places[where])))
        return found


class Window(ABC):
    """Part of one output of a job, in the caller's order."""

    layout: Layout
    output: str
    shape: tuple[int, ...]

    def __init__(self, layout: Layout, output: str) -> None:
        self.layout = layout
        self.output = output
        self._held: OrderedDict[int, np.ndarray] = OrderedDict()
        self._tiles = {(tile.row, tile.col): tile.index for tile in layout.plan.tiles}

    @abstractmethod
    def needed(self) -> set[int]:
        """The indices of the tiles that hold any of it."""

    @abstractmethod
    def runs(self, dtype: np.dtype, read: ReadTile) -> AsyncIterator[np.ndarray]:
        """Its elements in C order, as C-contiguous arrays of `dtype`."""

    async def _read(self, index: int, read: ReadTile) -> np.ndarray:
        values = self._held.pop(index, None)
        if values is None:
            values = await read(index)
        self._held[index] = values
        while (
            len(self._held) > 1
            and sum(held.nbytes for held in self._held.values()) > HELD_TILE_BYTES
        ):
            self._held.popitem(last=False)
        return values


class Rectangle(Window):
    """Rows and columns of a matrix, whose entries may be arrays (kernels by position)."""

    def __init__(self, layout: Layout, output: str, rows: range, cols: range) -> None:
        super().__init__(layout, output)
        plan = layout.plan
        self._rows, self._cols, self._entry = rows, cols, plan.entry
        self._side1 = Side(plan.groups1, plan.n1)
        self._side2 = self._side1 if plan.symmetric else Side(plan.groups2, plan.n2)
        self.shape = (len(rows), len(cols), *plan.entry)

    def needed(self) -> set[int]:
        """See `Window.needed`."""
        rows = np.unique(self._side1.group[self._rows.start : self._rows.stop]).tolist()
        cols = np.unique(self._side2.group[self._cols.start : self._cols.stop]).tolist()
        return {self._tile(row, col)[0] for row in rows for col in cols}

    async def runs(self, dtype: np.dtype, read: ReadTile) -> AsyncIterator[np.ndarray]:
        """See `Window.runs`; each is (rows, cols, *entry)."""
        for rows, cols in self._cut(prod(self._entry) * dtype.itemsize):
            values = np.empty((len(rows), len(cols), *self._entry), dtype)
            columns = self._side2.pieces(cols)
            for row, into_rows, from_rows in self._side1.pieces(rows):
                for col, into_cols, from_cols in columns:
                    index, other_way = self._tile(row, col)
                    tile = await self._read(index, read)
                    source = mirrored(tile) if other_way else tile
                    into, where = _outer(into_rows, into_cols), _outer(from_rows, from_cols)
                    await run_sync(_copy, values, into, source, where)
            yield values

    def _cut(self, entry_bytes: int) -> Iterator[tuple[range, range]]:
        """Whole rows, as many as a run may have; where one row is too much, parts of one row."""
        rows, cols = self._rows, self._cols
        height = max(1, RUN_BYTES // (len(cols) * entry_bytes))
        fits = len(cols) * entry_bytes <= RUN_BYTES
        width = len(cols) if fits else max(1, RUN_BYTES // entry_bytes)
        for start in range(rows.start, rows.stop, height):
            for first in range(cols.start, cols.stop, width):
                yield (
                    range(start, min(start + height, rows.stop)),
                    range(first, min(first + width, cols.stop)),
                )

    def _tile(self, row: int, col: int) -> tuple[int, bool]:
        """The tile of two groups, and whether it is stored the other way round."""
        index = self._tiles.get((row, col))
        return (index, False) if index is not None else (self._tiles[(col, row)], True)


class Diagonal(Window):
    """Rows of a diagonal: one number for each input."""

    def __init__(self, layout: Layout, output: str, rows: range) -> None:
        super().__init__(layout, output)
        self._rows = rows
        self._side = Side(layout.plan.groups1, layout.plan.n1)
        self.shape = (len(rows),)

    def needed(self) -> set[int]:
        """See `Window.needed`."""
        groups = np.unique(self._side.group[self._rows.start : self._rows.stop]).tolist()
        return {self._tiles[group, group] for group in groups}

    async def runs(self, dtype: np.dtype, read: ReadTile) -> AsyncIterator[np.ndarray]:
        """See `Window.runs`; each is (rows,)."""
        length = max(1, RUN_BYTES // dtype.itemsize)
        for start in range(self._rows.start, self._rows.stop, length):
            span = range(start, min(start + length, self._rows.stop))
            values = np.empty(len(span), dtype)
            for group, into, where in self._side.pieces(span):
                tile = await self._read(self._tiles[group, group], read)
                await run_sync(_copy, values, into, tile, where)
            yield values


def open_window(layout: Layout, output: str, rows: range, cols: range) -> Window:
    """The window of a job of any form; a diagonal has no columns."""
    if layout.plan.form == "diagonal":
        return Diagonal(layout, output, rows)
    return Rectangle(layout, output, rows, cols)


def _run(places: np.ndarray) -> Index:
    """A slice where the places are consecutive, which copies many times faster than an index
    array."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places


def _copy(values: np.ndarray, into: Any, source: np.ndarray, where: Any) -> None:
    values[into] = source[where]


def _outer(rows: Index, cols: Index) -> Any:
    """The index of a rectangle: two slices as they are, else an open mesh."""
    if isinstance(rows, slice) and isinstance(cols, slice):
        return rows, cols
    return np.ix_(_places(rows), _places(cols))


def _places(index: Index) -> np.ndarray:
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index
