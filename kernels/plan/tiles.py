"""Tiles: the pieces of a result that are computed, cached and served as one.

The inputs of a side are put into groups of one bucket each, in caller order, full ones first; what is
left over is a group of its own, or joins what a longer bucket has left over. So two requests whose
inputs share a prefix, and a request extended by new rows, share their full groups and find their tiles.
A tile is a group of x1 against a group of x2; X against X has only those with row <= col.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import accumulate
from math import isqrt, prod
from typing import Final, overload

from kernels.architecture import Architecture, describe
from kernels.demand import final_demand, packing_gap
from kernels.estimate.places import Place, places
from kernels.inputs import Form, Inputs
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer
from kernels.layers.mixed_inputs import with_mixed_inputs
from kernels.method import EXACT, Additive, Method, MonteCarlo
from kernels.plan.buckets import Grid, bucket_grids, grouped, one_bucket
from kernels.plan.groups import group_rows

_TILE_ENTRIES: Final = 2**18
"""Numbers of one output in a tile of position-resolved kernels, at most (unless one pair has more):
1 MiB in float32, as a tile of plain kernels. Whoever sends a result row by row reads the tiles of a
row of inputs again and again unless it can hold them all: 2**22 took eight times as long to fetch."""

_SAMPLED_ROWS: Final = 64
"""Rows of a group whose kernels are means over samples, of heads or of finite networks: every pair
costs products for each of them."""
_HEAD_ENTRIES: Final = 2**25
"""Entries that a group keeps of its heads, at most (unless one input has more): 128 MiB in float32,
and a tile has two groups."""
_HEAD_PRODUCTS: Final = 2**33
"""samples T^3 over the pairs of a tile, at most: a dozen matrix products for each sample and pair,
so about ten seconds on a CPU core."""


@dataclass(frozen=True)
class RowGroup:
    """Inputs that enter a tile together.

    Attributes:
        rows: their numbers in the caller's order, ascending.
        grid: the position grid of their bucket.
    """

    rows: tuple[int, ...]
    grid: tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """Group `row` of x1 against group `col` of x2; `index` is its place in the plan."""

    index: int
    row: int
    col: int


@dataclass(frozen=True)
class Tiles(Sequence[Tile]):
    """The tiles of a plan, row by row. Each is made when it is asked for: how many there are is known
    before there are any, and a plan takes no more memory than its groups.

    Attributes:
        rows: groups of x1.
        cols: groups of x2.
        symmetric: only tiles with row <= col.
        diagonal: only tiles (k, k).
    """

    rows: int
    cols: int
    symmetric: bool
    diagonal: bool

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[Tile]:
        places = ((row, col) for row in range(self.rows) for col in self._cols(row))
        return (Tile(index, row, col) for index, (row, col) in enumerate(places))

    @overload
    def __getitem__(self, index: int) -> Tile: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tile]: ...
    def __getitem__(self, index: int | slice) -> Tile | Sequence[Tile]:
        found = range(len(self))[index]
        return self._tile(found) if isinstance(found, int) else [self._tile(i) for i in found]

    def _tile(self, index: int) -> Tile:
        row = bisect_right(self._ends, index)
        return Tile(index, row, self._cols(row)[index - self._ends[row]])

    def _cols(self, row: int) -> range:
        """The columns of a row's tiles."""
        if self.diagonal:
            return range(row, row + 1)
        return range(row if self.symmetric else 0, self.cols)

    @cached_property
    def _ends(self) -> list[int]:
        """The index after the last tile of every row."""
        return list(accumulate(len(self._cols(row)) for row in range(self.rows)))


@dataclass(frozen=True)
class TilePlan:
    """All tiles of one result.

    Attributes:
        n1: rows of the matrix.
        n2: columns of the matrix.
        symmetric: X against X; groups2 is groups1 and tiles have row <= col.
        form: "matrix", "diagonal" (only x1[i] with x2[i]; tiles are (k, k)) or "positions".
        entry: the axes of one entry: () for a number; the grids of x and x' at the network's end
            for "positions".
        groups1: the groups of x1.
        groups2: the groups of x2.
    """

    n1: int
    n2: int
    symmetric: bool
    form: Form
    entry: tuple[int, ...]
    groups1: tuple[RowGroup, ...]
    groups2: tuple[RowGroup, ...]

    @cached_property
    def tiles(self) -> Tiles:
        """In the order in which they should be computed."""
        sides = len(self.groups1), len(self.groups2)
        return Tiles(*sides, self.symmetric, self.form == "diagonal")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole result."""
        return (self.n1,) if self.form == "diagonal" else (self.n1, self.n2, *self.entry)

    def tile_shape(self, tile: Tile) -> tuple[int, ...]:
        """Shape of one tile's values."""
        rows, cols = len(self.groups1[tile.row].rows), len(self.groups2[tile.col].rows)
        return (rows,) if self.form == "diagonal" else (rows, cols, *self.entry)

    def is_diagonal(self, tile: Tile) -> bool:
        """Whether both sides of the tile are the same inputs."""
        return self.symmetric and tile.row == tile.col

    def to_json(self) -> str:
        """A compact JSON text; `from_json` reads it."""
        sides = [self.groups1] if self.symmetric else [self.groups1, self.groups2]
        document = {
            "n1": self.n1,
            "n2": self.n2,
            "form": self.form,
            "entry": self.entry,
            "sides": [[asdict(group) for group in side] for side in sides],
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> TilePlan:
        """The plan that `to_json` wrote."""
        document = json.loads(text)
        sides = [
            tuple(RowGroup(tuple(g["rows"]), tuple(g["grid"])) for g in side)
            for side in document["sides"]
        ]
        n1, n2, form, entry = (document[name] for name in ("n1", "n2", "form", "entry"))
        return cls(n1, n2, len(sides) == 1, form, tuple(entry), sides[0], sides[-1])


def plan_tiles(
    architecture: Architecture,
    inputs1: Inputs,
    inputs2: Inputs | None = None,
    form: Form = "matrix",
    method: Method = EXACT,
) -> TilePlan:
    """Cuts a result into tiles.

    Args:
        architecture: the network, already checked against the inputs (`check_job`).
        inputs1: the rows.
        inputs2: the columns; None for X against X.
        form: what of the kernel is wanted.
        method: how it is computed.
    """
    sides = [inputs1] if inputs2 is None else [inputs1, inputs2]
    entry: tuple[int, ...] = ()
    if form == "positions":
        ends = [describe(architecture, side.x.shape[1:]).output.grid for side in (sides * 2)[:2]]
        entry = (*ends[0], *ends[1])
    # A finite network has embeddings for the caller's positions, whatever bucket an input is in.
    finite = isinstance(method, MonteCarlo)
    margin = None if form == "positions" or finite else architecture.margin()
    layers = with_mixed_inputs(architecture.expanded, method)
    if isinstance(method, Additive) and packing_gap(layers) is not None:
        grids = [one_bucket(side, margin) for side in sides]
    else:
        grids = [bucket_grids(side, margin) for side in sides]
    most = _SAMPLED_ROWS if finite else isqrt(_TILE_ENTRIES // prod(entry))
    limit = _rows_of_a_group(structure_of(layers), inputs1, form, most, method)
    # Row i of a diagonal meets row i only, so both sides are grouped alike.
    together = [grids] if form == "diagonal" else [[side] for side in grids]
    groups = [groups for sides in together for groups in _groups(sides, limit)]
    size = len(inputs1), len(sides[-1])
    return TilePlan(*size, inputs2 is None, form, entry, groups[0], groups[-1])


def _groups(
    sides: Sequence[Sequence[Grid]], rows_of_a_group: Callable[[Grid], int]
) -> list[tuple[RowGroup, ...]]:
    """The groups of each side, of the same rows in all of them."""
    buckets = list(zip(*sides, strict=True))
    found = list(grouped(buckets, lambda bucket: min(map(rows_of_a_group, bucket))))
    return [tuple(RowGroup(rows, bucket[i]) for bucket, rows in found) for i in range(len(sides))]


def _rows_of_a_group(
    layers: tuple[Layer, ...], inputs: Inputs, form: Form, most: int, method: Method
) -> Callable[[tuple[int, ...]], int]:
    final = final_demand(form == "positions")
    channels, itemsize = inputs.x.shape[-1], inputs.x.dtype.itemsize
    heads = () if isinstance(method, MonteCarlo) else places(layers)

    @cache
    def rows(grid: tuple[int, ...]) -> int:
        allowed = max(1, min(most, _rows_with_heads(heads, grid)) if heads else most)
        held = group_rows(layers, grid, channels, itemsize, final)
        return min(1 << (allowed.bit_length() - 1), held)

    return rows


def _rows_with_heads(found: Sequence[Place], grid: tuple[int, ...]) -> int:
    """Rows of a group in a network with estimated layers: 0 where one is too many already."""
    sizes = [(place.heads, prod(place.grid(grid))) for place in found]
    entries = sum(heads * size**2 for heads, size in sizes)
    products = sum(heads * size**3 for heads, size in sizes)
    return min(_SAMPLED_ROWS, _HEAD_ENTRIES // entries, isqrt(_HEAD_PRODUCTS // products))
