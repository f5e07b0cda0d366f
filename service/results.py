"""Matrices assembled from tiles, stripe by stripe, in the caller's order of rows.

    Layout -> Window          the rows, columns and output asked for
           -> needed()        the tiles that hold them, all there before the first byte is sent
           -> stripes()       arrays (some rows, all columns asked for), each at most STRIPE_BYTES

What is held at any time is one stripe and the tiles read last, never the matrix.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from anyio.to_thread import run_sync

from kernels.plan.tiles import RowGroup
from service.problems import Gone, Pending, Unavailable, UnknownResource
from service.records import JobRecord, Layout

STRIPE_BYTES = 8 << 20
# Tiles that the next stripe reads again: those that a stripe boundary cuts, and mirror images.
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


@dataclass
class Window:
    """Part of one of a job's matrices: `rows` and `cols` of `output`, in the caller's order."""

    layout: Layout
    output: str
    rows: range
    cols: range
    _held: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict[int, np.ndarray])

    def __post_init__(self) -> None:
        plan = self.layout.plan
        self._side1 = Side(plan.groups1, plan.n1)
        self._side2 = self._side1 if plan.symmetric else Side(plan.groups2, plan.n2)
        self._tiles = {(tile.row, tile.col): tile.index for tile in plan.tiles}
        self._cols = self._side2.pieces(self.cols)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) asked for."""
        return len(self.rows), len(self.cols)

    def needed(self) -> set[int]:
        """The indices of the tiles that hold any of it."""
        rows = np.unique(self._side1.group[self.rows.start : self.rows.stop]).tolist()
        return {self._tile(row, col)[0] for row in rows for col, _, _ in self._cols}

    def check_finished(self) -> None:
        """Raises Pending, or Unavailable when the job has ended, unless all tiles needed have been
        computed."""
        record, needed = self.layout.record, self.needed()
        missing = needed - self.layout.done
        if record.state == "succeeded" or not missing:
            return
        counts = {"tiles_needed": len(needed), "tiles_missing": len(missing), "state": record.state}
        if record.ended:
            reason = record.error.get("detail", "") if record.error else ""
            raise Unavailable(
                f"the job is {record.state} and {len(missing)} of the {len(needed)} tiles asked for"
                " were not computed" + (f": {reason}" if reason else ""),
                also=counts,
            )
        # An honest guess when there is one, within what a poller finds bearable.
        seconds = 1 if record.eta_s is None else min(30, max(1, round(record.eta_s)))
        raise Pending(
            f"{len(missing)} of the {len(needed)} tiles asked for are not finished; ask again in"
            f" {seconds} s, for fewer rows, or wait for the job",
            headers={"Retry-After": str(seconds)},
            also=counts,
        )

    async def stripes(self, dtype: np.dtype, read: ReadTile) -> AsyncIterator[np.ndarray]:
        """The window's rows in order, as C-contiguous arrays of `dtype`."""
        height = max(1, STRIPE_BYTES // (len(self.cols) * dtype.itemsize))
        for start in range(self.rows.start, self.rows.stop, height):
            span = range(start, min(start + height, self.rows.stop))
            stripe = np.empty((len(span), len(self.cols)), dtype)
            for row, into_rows, from_rows in self._side1.pieces(span):
                for col, into_cols, from_cols in self._cols:
                    index, mirrored = self._tile(row, col)
                    values = await self._read(index, read)
                    source = values.T if mirrored else values
                    await run_sync(
                        _copy, stripe, into_rows, into_cols, source, from_rows, from_cols
                    )
            yield stripe

    def _tile(self, row: int, col: int) -> tuple[int, bool]:
        """The tile of two groups, and whether it is stored the other way round."""
        index = self._tiles.get((row, col))
        return (index, False) if index is not None else (self._tiles[(col, row)], True)

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


def check_available(record: JobRecord, output: str) -> None:
    """Raises Gone for an expired job, and UnknownResource for an output it does not compute."""
    if record.state == "expired":
        raise Gone("the job has expired; the same request computes it again")
    if output not in record.outputs:
        raise UnknownResource(
            f"this job computes {', '.join(record.outputs)}; ask for {output} when creating one"
        )


def _run(places: np.ndarray) -> Index:
    """A slice where the places are consecutive, which copies many times faster than an index
    array."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places


def _copy(
    stripe: np.ndarray,
    rows: Index,
    cols: Index,
    source: np.ndarray,
    from_rows: Index,
    from_cols: Index,
) -> None:
    stripe[_outer(rows, cols)] = source[_outer(from_rows, from_cols)]


def _outer(rows: Index, cols: Index) -> Any:
    """The index of a rectangle: two slices as they are, else an open mesh."""
    if isinstance(rows, slice) and isinstance(cols, slice):
        return rows, cols
    return np.ix_(_places(rows), _places(cols))


def _places(index: Index) -> np.ndarray:
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index
