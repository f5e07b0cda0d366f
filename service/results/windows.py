"""What of a result is asked for, assembled from tiles in the caller's order, run by run.

    Layout -> open_window()   the rows (and columns) of one output
           -> needed()        the tiles that hold them, all there before the first byte is sent
           -> runs()          its elements in C order, at most RUN_BYTES (or one entry) at a time

While one run is sent, the next is put together and the tiles of the two behind it are read. Besides
those four only tiles that are needed again are held, never the whole.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from anyio.to_thread import run_sync

from kernels.plan.placement import mirrored, write_mirrored
from kernels.plan.tiles import RowGroup
from service.records import Layout
from service.results.reading import HeldTiles, ReadTiles, ahead

RUN_BYTES = 8 << 20
# Runs whose tiles are read ahead: where tiles are turned, putting a run together takes longer than reading,
# and where they are new, reading takes longer.
READ_AHEAD = 2
# Threads that put one run together, each its share of the tiles.
PLACERS = 2
# Spans of one side whose groups are remembered: those of a few runs, and that of all columns.
SPANS_KEPT = 8

Index = slice | np.ndarray
# What of each axis of inputs; a diagonal has one, a matrix two.
Part = tuple[range, ...]


@dataclass(frozen=True)
class Placing:
    """What of a tile belongs where in a run; `mirrored`: it is stored the other way round."""

    tile: int
    mirrored: bool
    where: Any
    into: Any


class Side:
    """Where the rows of one side are: caller's row -> group, and its place in the group."""

    def __init__(self, groups: tuple[RowGroup, ...], length: int) -> None:
        self.group = np.empty(length, np.int32)
        self.place = np.empty(length, np.int32)
        for number, group in enumerate(groups):
            rows = np.asarray(group.rows, np.intp)
            self.group[rows] = number
            self.place[rows] = np.arange(len(rows))
        # All runs of a window have the same columns, mostly.
        self.groups_of = lru_cache(SPANS_KEPT)(self._groups_of)
        self.pieces = lru_cache(SPANS_KEPT)(self._pieces)

    def _groups_of(self, span: range) -> list[int]:
        """The groups that hold rows of `span`."""
        return np.unique(self.group[span.start : span.stop]).tolist()

    def _pieces(self, span: range) -> list[tuple[int, Index, Index]]:
        """For the groups that hold rows of `span`: group, where in the span, where in the group."""
        groups = self.group[span.start : span.stop]
        places = self.place[span.start : span.stop]
        found: list[tuple[int, Index, Index]] = []
        for number in self.groups_of(span):
            (where,) = np.nonzero(groups == number)
            found.append((number, _run(where), _run(places[where])))
        return found

    def unbroken(self, span: range) -> np.ndarray:
        """Where `span` can end without a group that goes on behind."""
        groups, steps = self.group[span.start : span.stop], np.arange(len(span))
        last = np.zeros(int(groups.max()) + 1, np.intp)
        np.maximum.at(last, groups, steps)
        (ends,) = np.nonzero(np.maximum.accumulate(last[groups]) == steps)
        return span.start + 1 + ends


class Window(ABC):
    """Part of one output of a job, in the caller's order; (rows, cols, *entry) or (rows,)."""

    def __init__(self, layout: Layout, output: str, part: Part) -> None:
        self.layout = layout
        self.output = output
        self._part = part
        self._entry = layout.plan.entry
        self._tiles = {(tile.row, tile.col): tile.index for tile in layout.plan.tiles}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is asked for."""
        return self._shape(self._part)

    def needed(self) -> set[int]:
        """The indices of the tiles that hold any of it."""
        return self._tiles_of(self._part)

    async def runs(self, dtype: np.dtype, read: ReadTiles) -> AsyncGenerator[np.ndarray, None]:
        """Its elements in C order, as C-contiguous arrays of `dtype`."""
        parts = list(self._cut(prod(self._entry) * dtype.itemsize))
        tiles_of_parts = self._tiles_for(parts, dtype.itemsize, read)
        async with aclosing(ahead(tiles_of_parts, READ_AHEAD)) as batches:
            for part in parts:
                run = np.empty(self._shape(part), dtype)
                placings = self._placings(part)
                while placings:
                    tiles = await anext(batches)
                    now = [placing for placing in placings if placing.tile in tiles]
                    await _put(run, now, tiles)
                    placings = [placing for placing in placings if placing.tile not in tiles]
                yield run

    async def _tiles_for(
        self, parts: Sequence[Part], itemsize: int, read: ReadTiles
    ) -> AsyncGenerator[dict[int, np.ndarray], None]:
        """The tiles of one part after the other, a batch at a time."""
        held = HeldTiles(Counter(tile for part in parts for tile in self._tiles_of(part)), read)
        for part in parts:
            for indices in self._batches(part, itemsize):
                yield await held.take(indices)

    def _batches(self, part: Part, itemsize: int) -> Iterator[list[int]]:
        """The tiles of a part, as many at a time as a run has bytes (or one)."""
        plan = self.layout.plan
        batch, room = list[int](), RUN_BYTES
        for index in sorted(self._tiles_of(part)):
            size = prod(plan.tile_shape(plan.tiles[index])) * itemsize
            if batch and size > room:
                yield batch
                batch, room = [], RUN_BYTES
            batch.append(index)
            room -= size
        yield batch

    def _shape(self, part: Part) -> tuple[int, ...]:
        return (*map(len, part), *self._entry)

    @abstractmethod
    def _cut(self, entry_bytes: int) -> Iterator[Part]:
        """What runs are of, in C order."""

    @abstractmethod
    def _tiles_of(self, part: Part) -> set[int]:
        """The tiles that hold any of a part."""

    @abstractmethod
    def _placings(self, part: Part) -> list[Placing]:
        """Where the elements of a part are."""


class Rectangle(Window):
    """Rows and columns of a matrix, whose entries may be arrays (kernels by position)."""

    def __init__(self, layout: Layout, output: str, rows: range, cols: range) -> None:
        super().__init__(layout, output, (rows, cols))
        plan = layout.plan
        self._side1 = Side(plan.groups1, plan.n1)
        self._side2 = self._side1 if plan.symmetric else Side(plan.groups2, plan.n2)

    def _cut(self, entry_bytes: int) -> Iterator[Part]:
        """Whole rows, as many as a run may have, and rather fewer than part of a group; where one row
        is too much, parts of one row."""
        rows, cols = self._part
        row_bytes = len(cols) * entry_bytes
        if row_bytes > RUN_BYTES:
            width = max(1, RUN_BYTES // entry_bytes)
            for row in rows:
                for first in range(cols.start, cols.stop, width):
                    yield range(row, row + 1), range(first, min(first + width, cols.stop))
            return
        ends, start = self._side1.unbroken(rows), rows.start
        while start < rows.stop:
            most = min(start + RUN_BYTES // row_bytes, rows.stop)
            whole = ends[(ends > start) & (ends <= most)]
            stop = int(whole[-1]) if len(whole) else most
            yield range(start, stop), cols
            start = stop

    def _tiles_of(self, part: Part) -> set[int]:
        rows, cols = part
        columns = self._side2.groups_of(cols)
        return {self._tile(row, col)[0] for row in self._side1.groups_of(rows) for col in columns}

    def _placings(self, part: Part) -> list[Placing]:
        rows, cols = part
        columns = self._side2.pieces(cols)
        return [
            Placing(
                *self._tile(row, col), _outer(from_rows, from_cols), _outer(into_rows, into_cols)
            )
            for row, into_rows, from_rows in self._side1.pieces(rows)
            for col, into_cols, from_cols in columns
        ]

    def _tile(self, row: int, col: int) -> tuple[int, bool]:
        """The tile of two groups, and whether it is stored the other way round."""
        index = self._tiles.get((row, col))
        return (index, False) if index is not None else (self._tiles[(col, row)], True)


class Diagonal(Window):
    """Rows of a diagonal: one number for each input."""

    def __init__(self, layout: Layout, output: str, rows: range) -> None:
        super().__init__(layout, output, (rows,))
        self._side = Side(layout.plan.groups1, layout.plan.n1)

    def _cut(self, entry_bytes: int) -> Iterator[Part]:
        (rows,) = self._part
        length = max(1, RUN_BYTES // entry_bytes)
        for start in range(rows.start, rows.stop, length):
            yield (range(start, min(start + length, rows.stop)),)

    def _tiles_of(self, part: Part) -> set[int]:
        (rows,) = part
        return {self._tiles[group, group] for group in self._side.groups_of(rows)}

    def _placings(self, part: Part) -> list[Placing]:
        (rows,) = part
        return [
            Placing(self._tiles[group, group], False, where, into)
            for group, into, where in self._side.pieces(rows)
        ]


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


async def _put(
    run: np.ndarray, placings: Sequence[Placing], tiles: Mapping[int, np.ndarray]
) -> None:
    shares = [placings[first::PLACERS] for first in range(min(PLACERS, len(placings)))]
    await asyncio.gather(*(run_sync(_place, run, share, tiles) for share in shares))


def _place(run: np.ndarray, placings: Sequence[Placing], tiles: Mapping[int, np.ndarray]) -> None:
    for placing in placings:
        tile, where, into = tiles[placing.tile], placing.where, placing.into
        if not placing.mirrored:
            run[into] = tile[where]
        elif _is_view(where) and _is_view(into):
            write_mirrored(run[into], tile[where[::-1]])
        else:
            run[into] = mirrored(tile)[where]


def _is_view(rectangle: Any) -> bool:
    """Whether an index of `_outer` is two slices, so that what it gives is part of the array."""
    return all(isinstance(index, slice) for index in rectangle)


def _outer(rows: Index, cols: Index) -> Any:
    """The index of a rectangle: two slices as they are, else an open mesh."""
    if isinstance(rows, slice) and isinstance(cols, slice):
        return rows, cols
    return np.ix_(_places(rows), _places(cols))


def _places(index: Index) -> np.ndarray:
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index
