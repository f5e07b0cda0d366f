"""Tiles: the pieces of a result that are computed, cached and served as one.

The inputs of a side are put into groups of one bucket each, in caller order; only the last group
of a bucket may be smaller than the rest, and it is never topped up. So two requests whose inputs
share a prefix, and a request extended by new rows, share their full groups and find their tiles.
A tile is a group of x1 against a group of x2; X against X has only those with row <= col.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.demand import Demand, plan_pair
from kernels.inputs import Inputs
from kernels.plan.buckets import bucket_grids
from kernels.spec.architecture import Architecture

_GROUP_ROWS: Final = ((2, 512), (16, 256), (64, 128), (160, 64), (512, 32))
"""Rows of a group by positions a side: a tile takes roughly a second on a CPU core, and is large
enough that fetching its rows and storing it cost little."""
_LEAST_GROUP_ROWS: Final = 16


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
class TilePlan:
    """All tiles of one result.

    Attributes:
        n1: rows of the matrix.
        n2: columns of the matrix.
        symmetric: X against X; groups2 is groups1 and tiles have row <= col.
        groups1: the groups of x1.
        groups2: the groups of x2.
        tiles: in the order in which they should be computed.
    """

    n1: int
    n2: int
    symmetric: bool
    groups1: tuple[RowGroup, ...]
    groups2: tuple[RowGroup, ...]
    tiles: tuple[Tile, ...]

    def is_diagonal(self, tile: Tile) -> bool:
        """Whether both sides of the tile are the same inputs."""
        return self.symmetric and tile.row == tile.col

    def to_json(self) -> str:
        """A compact JSON text; `from_json` reads it."""
        sides = [self.groups1] if self.symmetric else [self.groups1, self.groups2]
        return json.dumps(
            {"n1": self.n1, "n2": self.n2, "sides": [[asdict(g) for g in s] for s in sides]},
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> TilePlan:
        """The plan that `to_json` wrote."""
        document = json.loads(text)
        sides = [
            tuple(RowGroup(tuple(g["rows"]), tuple(g["grid"])) for g in side)
            for side in document["sides"]
        ]
        return _plan(document["n1"], document["n2"], sides[0], sides[1] if sides[1:] else None)


def plan_tiles(
    architecture: Architecture, inputs1: Inputs, inputs2: Inputs | None = None
) -> TilePlan:
    """Cuts a result into tiles.

    Args:
        architecture: the network, already checked against the inputs (`check_job`).
        inputs1: the rows.
        inputs2: the columns; None for X against X.
    """
    groups1 = _groups(architecture, inputs1)
    if inputs2 is None:
        return _plan(len(inputs1), len(inputs1), groups1, None)
    return _plan(len(inputs1), len(inputs2), groups1, _groups(architecture, inputs2))


def group_rows(positions: int, pairs_of_positions: bool) -> int:
    """Inputs a group holds.

    Args:
        positions: positions of an input in its bucket.
        pairs_of_positions: whether the network needs all T x T' pairs, or T diagonal ones.
    """
    side = positions if pairs_of_positions else max(1, round(positions**0.5))
    for limit, rows in _GROUP_ROWS:
        if side <= limit:
            return rows
    return _LEAST_GROUP_ROWS


def place(matrix: npt.NDArray[Any], plan: TilePlan, tile: Tile, values: npt.NDArray[Any]) -> None:
    """Writes a tile, and its mirror image in a symmetric plan, into a full (n1, n2) matrix."""
    rows, cols = plan.groups1[tile.row].rows, plan.groups2[tile.col].rows
    matrix[np.ix_(rows, cols)] = values
    if plan.symmetric and not plan.is_diagonal(tile):
        matrix[np.ix_(cols, rows)] = values.T


def _groups(architecture: Architecture, inputs: Inputs) -> tuple[RowGroup, ...]:
    layers = [layer.split()[0] for layer in architecture.expanded]
    steps = plan_pair(layers, positions=bool(inputs.grid))
    every_pair = any(step.wanted_in is Demand.FULL for step in steps)
    buckets: dict[tuple[int, ...], list[int]] = {}
    for row, grid in enumerate(bucket_grids(inputs, architecture.trims())):
        buckets.setdefault(grid, []).append(row)
    groups: list[RowGroup] = []
    for grid, rows in sorted(buckets.items()):
        size = group_rows(prod(grid), every_pair)
        groups += [RowGroup(tuple(rows[i : i + size]), grid) for i in range(0, len(rows), size)]
    return tuple(groups)


def _plan(
    n1: int, n2: int, groups1: tuple[RowGroup, ...], groups2: tuple[RowGroup, ...] | None
) -> TilePlan:
    columns = groups1 if groups2 is None else groups2
    pairs: Iterable[tuple[int, int]] = (
        (row, col)
        for row in range(len(groups1))
        for col in range(len(columns))
        if groups2 is not None or row <= col
    )
    tiles = tuple(Tile(index, row, col) for index, (row, col) in enumerate(pairs))
    return TilePlan(n1, n2, groups2 is None, groups1, columns, tiles)
