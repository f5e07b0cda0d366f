"""What a tile takes in memory, in bytes, before any of it is computed. No JAX.

Counted is what the engine allocates beside the inputs, the result and compiled code: what the
inputs of both groups keep for the pairs they are in (above all a mixing matrix A(x), P x P, for
each attention layer), the buffers of compiled calls, and a tile's values on their way out.

A compiled pair call works on blocks of edge^2 pairs of inputs. XLA decides how many are alive at
once; the counts here were read off what it reports (`memory_analysis`) for networks of all kinds,
and tests/kernels/engine/test_memory.py asks it again: planned is never less, and at most twice it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final

from kernels.demand import (
    Demand,
    Step,
    final_demand,
    multiplies,
    packing_gap,
    plan_one_input,
    plan_pair,
    wanted_by,
)
from kernels.estimate.landmarks import LANDMARK_POSITIONS
from kernels.estimate.places import group_count, places
from kernels.finite.weights import count_of, weights_of
from kernels.finite.width import Width
from kernels.layers.activation.activation import Activation
from kernels.layers.attention import Attention
from kernels.layers.chain import grid_after, structure_of
from kernels.layers.layer import Layer
from kernels.layers.mixed_inputs import MixedInputs
from kernels.method import Additive, Method, MonteCarlo
from kernels.plan.bins import BIN_LENGTH
from kernels.plan.input_memory import TABLE_TERMS, VECTORS, kept_by_input

DEFAULT_MEMORY_BYTES: Final = 2**32
"""Of all tiles of a process together: 4 GiB."""

SHORT: Final = 32
"""Positions up to which the blocks of a whole group fit in cache together; the one-input passes
of such inputs run all at once, of longer ones one after the other."""

_OVERHEAD: Final = 2**23
"""8 MiB for what is not counted: lists of pairs, the stacks and heaps of threads."""

_ONE_INPUT_BLOCKS: Final = 9
"""(P, P) arrays of a one-input pass beside what it keeps: 2.3 (relu attention) to 8.3 (softmax with
positions and residual)."""

MONTE_CARLO_BYTES: Final = 2**28
"""What one compiled call of an estimate by finite networks may take beside the weights of one
network: 256 MiB, into which it divides itself (kernels/finite/sampler.py)."""

_DRAWN: Final = 3
"""Times the weights of one network that are there at once: drawn, cut out of that, and with the ntk a
gradient."""


@dataclass(frozen=True)
class Work:
    """What is to be computed of two groups.

    Attributes:
        layers: the canonical layers of the network.
        outputs: how many kernels are carried: 1 for the nngp, 2 with the ntk.
        itemsize: bytes of a number.
        every_position: the form "positions".
        method: how it is computed.
    """

    layers: tuple[Layer, ...]
    outputs: int
    itemsize: int
    every_position: bool
    method: Method

    @property
    def final(self) -> Demand:
        """What is wanted at the network's end."""
        return final_demand(self.every_position)

    @cached_property
    def structure(self) -> tuple[Layer, ...]:
        """The layers, numbers taken out."""
        return structure_of(self.layers)

    @cached_property
    def replicates(self) -> int:
        """How often what lies above an estimated layer exists; 1 where none is."""
        return group_count(self.structure) + 1


@dataclass(frozen=True)
class GroupShape:
    """One side of a tile: how many inputs of which shape.

    Attributes:
        rows: inputs, filled up to the size that is compiled.
        grid: their position sizes.
        channels: of an input.
    """

    rows: int
    grid: tuple[int, ...]
    channels: int


@dataclass(frozen=True)
class TileMemory:
    """What one tile takes, in bytes.

    Attributes:
        groups: what the groups of its rows and of its columns keep; one number for a group with
            itself. Tiles of the same group share it.
        own: its values, and the largest pass over one group.
        call: one compiled call over pairs.
    """

    groups: tuple[int, ...]
    own: int
    call: int

    @property
    def alone(self) -> int:
        """With nothing beside it, one call at a time."""
        return sum(self.groups) + self.own + self.call


def tile_memory(
    work: Work, one: GroupShape, two: GroupShape | None, edge_for: Callable[[int, bool, int], int]
) -> TileMemory:
    """What a tile takes.

    Args:
        work: what is computed.
        one: the rows.
        two: the columns; None for the rows against themselves.
        edge_for: (entries of a pair's block, whether these are multiplied, rows of the smaller
            group) -> inputs a side of a micro-tile, by the backend's policy.
    """
    sides = [one] if two is None else [one, two]
    if isinstance(work.method, MonteCarlo):
        return _by_finite_networks(work, work.method, sides)
    steps = plan_pair(work.structure, bool(one.grid), work.final)
    kept = [
        side.rows
        * kept_by_input(work.structure, side.grid, side.channels, work.itemsize, work.final)
        for side in sides
    ]
    values = _values(work, sides)
    passes = max(_one_input_pass(work, steps, side) for side in sides)
    # What is merged, mirrored and masked, and the values that are handed over.
    own = _OVERHEAD + 4 * values + work.replicates * passes
    own += _heads(work.structure, sides, work.itemsize)
    call = _pair_call(work, steps, sides, kept, edge_for) + values
    if isinstance(work.method, Additive):
        added = [
            _additive(work, side, other) for side, other in zip(sides, sides[::-1], strict=True)
        ]
        kept = [each + packed for each, (packed, _) in zip(kept, added, strict=True)]
        own += (3 - len(sides)) * sum(thin for _, thin in added)
        call = max(call, _thin_call(work, steps, sides))
    return TileMemory(tuple(kept), own, call)


def _by_finite_networks(work: Work, method: MonteCarlo, sides: Sequence[GroupShape]) -> TileMemory:
    grid = tuple(map(max, sides[0].grid, sides[-1].grid))
    width = Width(method.width, method.heads)
    weights = count_of(weights_of(work.structure, sides[0].channels, grid, width)) * work.itemsize
    means = 6 * 8 * work.outputs * sides[0].rows * sides[-1].rows
    call = MONTE_CARLO_BYTES + _DRAWN * weights
    return TileMemory((0,) * len(sides), _OVERHEAD + means, call)


def _values(work: Work, sides: Sequence[GroupShape]) -> int:
    """Bytes of a tile's kernels, replicates included."""
    one, two = sides[0], sides[-1]
    entry = work.replicates
    if work.every_position:
        ends = (grid_after(work.structure, side.grid) for side in (one, two))
        entry *= prod(prod(end) for end in ends)
    return work.itemsize * work.outputs * entry * one.rows * two.rows


def _pair_call(
    work: Work,
    steps: Sequence[Step],
    sides: Sequence[GroupShape],
    kept: Sequence[int],
    edge_for: Callable[[int, bool, int], int],
) -> int:
    """Bytes of one compiled call over pairs, beside the values it returns."""
    size1, size2 = _positions(sides[0]), _positions(sides[-1])
    if _full(work, steps):
        pair = size1 * size2
    else:
        pair = size1 if Demand.DIAGONAL in {step.wanted_in for step in steps} else 1
    pair *= work.replicates
    edge = edge_for(pair, multiplies(steps), min(side.rows for side in sides))
    # Rows are cut out of both groups before a micro-tile begins.
    cut = sum(edge * each // side.rows for each, side in zip(kept, sides, strict=True))
    cut *= 3 - len(sides)
    return edge**2 * pair * work.itemsize * _pair_blocks(steps, work.outputs) + cut


def _thin_call(work: Work, steps: Sequence[Step], sides: Sequence[GroupShape]) -> int:
    """Bytes of a compiled call over pairs of bins, by the additive method."""
    longest = max(_positions(side) for side in sides)
    length = max(BIN_LENGTH, longest) + (packing_gap(work.structure) or 0)
    return length**2 * work.itemsize * (_pair_blocks(steps, work.outputs) + 4) + 2**23


def _positions(side: GroupShape) -> int:
    return max(1, prod(side.grid))


def _full(work: Work, steps: Sequence[Step]) -> bool:
    """Whether a pair of inputs needs every pair of their positions."""
    return work.every_position or Demand.FULL in {step.wanted_in for step in steps}


def _pair_blocks(steps: Sequence[Step], kinds: int) -> int:
    """Blocks of a micro-tile that are alive at once, at most."""
    blocks = 2 + 3 * kinds
    flat = list(_every_step(steps))
    activations = [step.layer for step in flat if isinstance(step.layer, Activation)]
    if any(layer.name() not in ("relu", "leaky_relu", "abs") for layer in activations):
        blocks += 3 * kinds
    for step in flat:
        if isinstance(step.layer, Attention):
            blocks += 1 if step.layer.positional else 0
            blocks += kinds if step.layer.residual else 0
        blocks += kinds * len(step.branches)
    return blocks


def _every_step(steps: Sequence[Step]) -> list[Step]:
    inner = [each for step in steps for branch in step.branches for each in _every_step(branch)]
    return [*steps, *inner]


def _one_input_pass(work: Work, steps: Sequence[Step], side: GroupShape) -> int:
    """Bytes of the larger of a group's two own passes, beside what it keeps."""
    size = _positions(side)
    at_once = side.rows if size <= SHORT else 1
    own = plan_one_input(
        work.structure, bool(side.grid), Demand.FULL if work.every_position else Demand.NOTHING
    )
    wanted = {wanted_by(own, Demand.NOTHING), *(step.wanted_in for step in _every_step(own))}
    mixes_inputs = bool(steps) and isinstance(steps[0].layer, MixedInputs)
    every_pair = Demand.FULL in wanted or mixes_inputs
    observed = _ONE_INPUT_BLOCKS * size**2 if every_pair else 4 * len(steps) * size
    # Each input with itself: a pair, both sides of which are cut out of the group.
    block = size**2 if _full(work, steps) else size
    blocks = _pair_blocks(steps, work.outputs)
    pair = blocks * block * work.itemsize
    pair += 2 * kept_by_input(work.structure, side.grid, side.channels, work.itemsize, work.final)
    # Raw inputs are there beside the mixed ones until all are mixed.
    raw = side.rows * size * side.channels * work.itemsize if mixes_inputs else 0
    # With a tolerance of the mixing's error, the pass may be run again.
    return raw + at_once * max(observed * work.itemsize, pair)


def _heads(layers: Sequence[Layer], sides: Sequence[GroupShape], itemsize: int) -> int:
    """Bytes of drawing heads for one group, where some layer is estimated: factors in float64
    through landmarks, the roots of what they leave, and the heads as they are handed in."""
    total = 0
    for place in places(layers):
        for side in sides:
            size = prod(place.grid(side.grid))
            factors = size * ((0 if place.linear else 4 * LANDMARK_POSITIONS) + 6 * size)
            total += side.rows * (8 * factors + itemsize * 2 * place.heads * size**2)
        total += 0 if place.linear else 6 * 8 * (2 * LANDMARK_POSITIONS) ** 2
    return total


def _additive(work: Work, side: GroupShape, other: GroupShape) -> tuple[int, int]:
    """Bytes that a group keeps beside its chain (packed rows, averages), and of the thin products
    of its rows with the other's, (rows, rows', kernels, P), on their way through the effects."""
    size = prod(side.grid)
    vectors = sum(TABLE_TERMS if each.name() == "elementwise" else VECTORS for each in work.layers)
    packed = side.rows * (size + BIN_LENGTH) * (side.channels + 2 * vectors) * work.itemsize
    thin = side.rows * other.rows * work.outputs * size * work.itemsize
    return packed, 8 * thin
