"""The pairs of inputs of two groups: all of them, or row i with row i only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from kernels.demand import Demand, final_demand
from kernels.engine.backend import policy
from kernels.engine.compiled import locked_cache
from kernels.engine.group import Group
from kernels.engine.heads import heads_of_group
from kernels.engine.landmarks import PositionKernels
from kernels.engine.network import Network
from kernels.engine.passes import edge_for, pair_pass, paired_kernels
from kernels.engine.schedule import PairList, ShouldStop, all_pairs, in_calls, listing
from kernels.engine.workspace import Workspace
from kernels.estimate.shared import Shared
from kernels.inputs import Form, Inputs
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer
from kernels.plan.groups import compiled_rows

Matrix = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Kernels of row i with row i, which the device may still be computing.

    Attributes:
        filled: (rows of the compiled size, *entry) by name.
        count: rows that are meant.
    """

    filled: dict[str, Array]
    count: int

    def read(self) -> dict[str, Matrix]:
        """(n, *entry) by name, as soon as they are there."""
        return {name: np.asarray(kernel)[: self.count] for name, kernel in self.filled.items()}


@dataclass(frozen=True)
class Pairs:
    """Two groups of inputs after their one-input passes.

    Attributes:
        network: the structure of the network.
        numbers: its layers' numbers.
        left: the rows.
        right: the columns; the same object for a group against itself.
    """

    network: Network
    numbers: Any
    left: Group
    right: Group

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer],
        rows1: Inputs,
        rows2: Inputs | None,
        ntk: bool,
        form: Form,
        shared: Shared,
        workspace: Workspace,
    ) -> Pairs:
        """Runs the one-input passes that the workspace does not have.

        Args:
            layers: the network, its numbers in it.
            rows1: one group.
            rows2: the other; None for the first against itself.
            ntk: whether the ntk is wanted.
            form: what of the kernel is wanted.
            shared: what the tiles of an estimated result have in common.
            workspace: keeps the one-input passes.
        """
        final = final_demand(form == "positions")
        structure, numbers = _split(tuple(layers), rows1.dtype)
        network = _network(structure, bool(rows1.grid), ntk, final, shared.groups)
        columns = rows1 if rows2 is None else rows2
        sizes = [
            compiled_rows(
                structure, len(side), side.grid, side.x.shape[-1], side.x.dtype.itemsize, final
            )
            for side in (rows1, columns)
        ]
        if form == "diagonal":
            sizes = [max(sizes)] * 2
        below = position_kernels(workspace)

        def group(inputs: Inputs, size: int) -> Group:
            def made() -> Group:
                heads = heads_of_group(layers, inputs, shared, below, workspace)
                return Group.of(network, inputs, numbers, heads, size)

            return workspace.once((tuple(layers), network, inputs, size, shared), made, inputs)

        left = group(rows1, sizes[0])
        right = left if rows2 is None else group(rows2, sizes[1])
        if rows2 is not None and right is left:
            # The same inputs on both sides, as rows and columns of a whole rectangle all the same:
            # only a group against itself is half a tile.
            right = replace(left)
        return cls(network, numbers, left, right)

    @property
    def symmetric(self) -> bool:
        """Whether it is one group against itself."""
        return self.right is self.left

    def own(self) -> Rows:
        """Each input of the left side with itself, exactly."""
        return self._rows_with(self.left, identical=True)

    def diagonal(self) -> Rows:
        """Row i with row i."""
        pairs = self._turned()
        return pairs._rows_with(pairs.right, identical=pairs.symmetric)

    def _turned(self) -> Pairs:
        """The side of the shorter grid first: two grids are compiled in one order, not in either.

        Kernels by position, whose blocks would have to be turned too, are compiled in both.
        """
        if self.network.final is not Demand.POINT or self.left.grid <= self.right.grid:
            return self
        return replace(self, left=self.right, right=self.left)

    def _rows_with(self, right: Group, identical: bool) -> Rows:
        left = self.left
        run = paired_kernels(self.network, left.grid, right.grid, identical)
        return Rows(
            run(left.x, left.chain, right.x, right.chain, self.numbers, left.count), left.count
        )

    def cross(self, workspace: Workspace, should_stop: ShouldStop | None) -> dict[str, Matrix]:
        """Every row with every column, (n1, n2, *entry) by name; of a group against itself only
        those with row < column, and some others."""
        left, right, network = self.left, self.right, self.network
        if (turned := self._turned()) is not self:
            made = turned.cross(workspace, should_stop)
            return {name: np.swapaxes(kernel, 0, 1) for name, kernel in made.items()}
        if self.symmetric and left.count == 1:
            # Nothing but what `own` has exactly: not worth a function of its own.
            empty = np.zeros((1, 1, *network.entry(left.grid, left.grid)), left.rows.dtype)
            return dict.fromkeys(network.kernels, empty)
        chosen = policy(jax.default_backend())
        edge = edge_for(network, left.grid, right.grid, chosen, min(len(left.x), len(right.x)))
        micro_rows, micro_columns = -(-left.count // edge), -(-right.count // edge)
        right_of = None
        if self.symmetric:
            # A micro-tile of one input with itself holds nothing but what `own` has exactly.
            right_of = 0 if edge == 1 else -1
        pairs = all_pairs(micro_rows, micro_columns, right_of)
        run = pair_pass(network, left.grid, right.grid, edge)
        most = (len(left.x) // edge) * (len(right.x) // edge)

        def compute(chunk: PairList) -> dict[str, Matrix]:
            sides = left.x, left.chain, right.x, right.chain
            out = run(*sides, self.numbers, *listing(chunk, most))
            return {name: np.asarray(kernel) for name, kernel in out.items()}

        calls = in_calls(run, pairs, compute, most, chosen.call_seconds, workspace, should_stop)
        tile: dict[str, Matrix] = {}
        for chunk, made in calls:
            if len(chunk) == len(pairs):
                tile = made
                continue
            # Each of several calls writes where its own micro-tiles belong; pages that none writes
            # to take no memory.
            tile = tile or {name: np.zeros(part.shape, part.dtype) for name, part in made.items()}
            rows, columns = chunk.T
            for name, part in made.items():
                here = _micro_tiles(part, edge)[rows, :, columns]
                _micro_tiles(tile[name], edge)[rows, :, columns] = here
        return {name: k[: left.count, : right.count] for name, k in tile.items()}


def _micro_tiles(matrix: Matrix, edge: int) -> Matrix:
    """A view, (rows of micro-tiles, edge, columns of micro-tiles, edge, ...)."""
    rows, columns, *entry = matrix.shape
    return matrix.reshape(rows // edge, edge, columns // edge, edge, *entry)


@locked_cache(16)
def _split(layers: tuple[Layer, ...], dtype: str) -> tuple[tuple[Layer, ...], Any]:
    """The structure of a network, and its numbers on the device; the same for all its tiles."""
    values = tuple(layer.split()[1] for layer in layers)
    return structure_of(layers), jax.tree.map(lambda value: jnp.asarray(value, dtype), values)


@locked_cache(64)
def _network(
    structure: tuple[Layer, ...], positions: bool, ntk: bool, final: Demand, head_groups: int
) -> Network:
    """The same object for all tiles: what is kept under it is found without comparing layers."""
    return Network(structure, positions, ntk, final, head_groups)


def position_kernels(workspace: Workspace) -> PositionKernels:
    """How the layers below an estimated one are computed."""
    return PositionKernels(
        partial(_positions_of_pairs, workspace),
        partial(_positions_of_own, workspace),
        partial(_positions_of_twins, workspace),
    )


def _positions_of_pairs(
    workspace: Workspace, layers: Sequence[Layer], rows1: Inputs, rows2: Inputs, shared: Shared
) -> Matrix:
    """`PositionKernels.pairs`: the nngp of every row with every column, (n1, n2, P, P')."""
    pairs = Pairs.of(layers, rows1, rows2, False, "positions", shared, workspace)
    # The whole rectangle, also of landmarks with themselves: what an input has for itself (dropout)
    # it has in common with none.
    return pairs.cross(workspace, None)["nngp"]


def _positions_of_own(
    workspace: Workspace, layers: Sequence[Layer], rows: Inputs, shared: Shared
) -> Matrix:
    """`PositionKernels.own`: the nngp of each input with itself, (n, P, P)."""
    return Pairs.of(layers, rows, None, False, "positions", shared, workspace).own().read()["nngp"]


def _positions_of_twins(
    workspace: Workspace, layers: Sequence[Layer], rows: Inputs, shared: Shared
) -> Matrix:
    """`PositionKernels.twins`: the nngp of each input with another that equals it, (n, P, P)."""
    pairs = Pairs.of(layers, rows, rows, False, "positions", shared, workspace)
    return pairs.diagonal().read()["nngp"]
