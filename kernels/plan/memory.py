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
from math import prod
from typing import Final

from kernels.demand import Demand, Step, packing_gap, plan_one_input, plan_pair, wanted_by
from kernels.estimate.landmarks import LANDMARK_POSITIONS
from kernels.estimate.places import group_count, places
from kernels.layers.activation.activation import Activation
from kernels.layers.attention import Attention
from kernels.layers.chain import grid_after, structure_of
from kernels.layers.layer import Layer
from kernels.mechanisms.performer import Performer
from kernels.mechanisms.softmax import Softmax
from kernels.method import Additive, Method, MonteCarlo
from kernels.plan.bins import BIN_LENGTH

DEFAULT_MEMORY_BYTES: Final = 2**32
"""Of all tiles of a process together: 4 GiB."""

SHORT: Final = 32
"""Positions up to which the blocks of a whole group fit in cache together; the one-input passes
of such inputs run all at once, of longer ones one after the other."""

_OVERHEAD: Final = 2**23
"""8 MiB for what is not counted: lists of pairs, the stacks and heaps of threads."""

_VECTORS: Final = 2
"""Numbers that a position keeps for a layer: variance, readout weight or mask (at most)."""

_TABLE_TERMS: Final = 160
"""The same of an elementwise activation that is interpolated: features of f and f'."""

_ONE_INPUT_BLOCKS: Final = 9
"""(P, P) arrays of a one-input pass beside what it keeps: 2.3 (relu attention) to 8.3 (softmax with
positions and residual)."""

_MONTE_CARLO_BYTES: Final = 2**28
"""What an estimate by finite networks divides itself into (kernels/finite/sampler.py)."""


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


@dataclass(frozen=True)
class Group:
    """One side of a tile.

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


def kept_by_input(
    layers: Sequence[Layer], grid: tuple[int, ...], channels: int, itemsize: int, final: Demand
) -> int:
    """Bytes that one input and its one-input pass keep for the pairs it is in."""
    raw = max(1, prod(grid)) * (channels + _VECTORS)
    structure = structure_of(layers)
    groups = group_count(structure)
    steps = plan_pair(structure, bool(grid), final)
    return itemsize * (raw + _kept(steps, grid, groups, False))


def _kept(steps: Sequence[Step], grid: tuple[int, ...], groups: int, above: bool) -> int:
    """Numbers that an input keeps of a chain; `above` an estimated layer all exist repeatedly."""
    total = 0
    for step in steps:
        size, layer = prod(grid), step.layer
        times = groups + 1 if above else 1
        read = (layer.observes is not Demand.NOTHING) + (step.wanted_in is Demand.READOUT)
        # A quarter for the mask, which is of bytes.
        total += times * size * (_TABLE_TERMS if layer.name() == "elementwise" else read)
        total += size // 4 + 1
        total += sum(_kept(branch, grid, groups, above) for branch in step.branches)
        if isinstance(layer, Attention) and step.wanted_in is not Demand.READOUT:
            if layer.estimator is not None:
                total += times * layer.estimator.samples * size**2
            elif layer.observes is Demand.FULL:
                total += times * _mixing_entries(layer, size)
        above = above or layer.contains_estimate()
        grid = layer.output_grid(grid)
    return total


def _mixing_entries(attention: Attention, size: int) -> int:
    """Numbers of A(x): two thin factors where the mechanism keeps those."""
    mechanism, rank = attention.mechanism, size
    if isinstance(mechanism, Performer):
        rank = mechanism.features
    elif isinstance(mechanism, Softmax) and mechanism.rank and mechanism.tolerance is None:
        rank = mechanism.rank
    return 2 * rank * size if rank * (size + rank) < size**2 else size**2


def tile_memory(
    work: Work, one: Group, two: Group | None, edge_for: Callable[[int, int], int]
) -> TileMemory:
    """What a tile takes.

    Args:
        work: what is computed.
        one: the rows.
        two: the columns; None for the rows against themselves.
        edge_for: (entries of a pair's block, rows of the smaller group) -> inputs a side of a
            micro-tile, by the backend's policy.
    """
    sides = [one] if two is None else [one, two]
    sizes = [max(1, prod(side.grid)) for side in sides]
    item, kinds = work.itemsize, work.outputs
    cells = one.rows * sides[-1].rows
    if isinstance(work.method, MonteCarlo):
        width, heads = work.method.width, work.method.heads
        weights = len(work.layers) * 4 * heads * width**2 * item
        values = 6 * 8 * kinds * cells
        return TileMemory((0,) * len(sides), _OVERHEAD + values, _MONTE_CARLO_BYTES + weights)
    final = Demand.FULL if work.every_position else Demand.POINT
    kept = [
        side.rows * kept_by_input(work.layers, side.grid, side.channels, item, final)
        for side in sides
    ]
    structure = structure_of(work.layers)
    replicates = group_count(structure) + 1 if places(structure) else 1
    steps = plan_pair(structure, bool(one.grid), final)
    full = Demand.FULL in {step.wanted_in for step in steps} or final is Demand.FULL
    pair = replicates * (sizes[0] * sizes[-1] if full else _positions(steps, sizes[0]))
    entry = replicates * (_end(structure, one, sides[-1]) if work.every_position else 1)
    values = item * kinds * entry * cells
    edge = edge_for(pair, min(side.rows for side in sides))
    # Rows are cut out of both groups before a micro-tile begins.
    cut = sum(edge * each // side.rows for each, side in zip(kept, sides, strict=True))
    cut *= 3 - len(sides)
    call = edge**2 * pair * item * _pair_blocks(steps, kinds) + cut + values
    # What is merged, mirrored and masked, and the values that are handed over.
    own = _OVERHEAD + 4 * values
    passes = [_one_input_pass(work, steps, side, final, full) for side in sides]
    own += max(passes) * replicates + _heads(structure, sides, item)
    if isinstance(work.method, Additive):
        added = [
            _additive(work, side, other) for side, other in zip(sides, sides[::-1], strict=True)
        ]
        kept = [each + packed for each, (packed, _) in zip(kept, added, strict=True)]
        own += (3 - len(sides)) * sum(thin for _, thin in added)
        length = max(BIN_LENGTH, *sizes) + (packing_gap(structure) or 0)
        call = max(call, length**2 * item * (_pair_blocks(steps, kinds) + 4) + 2**23)
    return TileMemory(tuple(kept), own, call)


def _positions(steps: Sequence[Step], size: int) -> int:
    return size if Demand.DIAGONAL in {step.wanted_in for step in steps} else 1


def _end(layers: Sequence[Layer], one: Group, two: Group) -> int:
    """Pairs of positions at the network's end."""
    return prod(grid_after(layers, one.grid)) * prod(grid_after(layers, two.grid))


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


def _one_input_pass(
    work: Work, steps: Sequence[Step], side: Group, final: Demand, full: bool
) -> int:
    """Bytes of the larger of a group's two own passes, beside what it keeps."""
    size = max(1, prod(side.grid))
    at_once = side.rows if size <= SHORT else 1
    structure = [step.layer for step in steps]
    own = plan_one_input(
        structure, bool(side.grid), final if work.every_position else Demand.NOTHING
    )
    wanted = {wanted_by(own, Demand.NOTHING), *(step.wanted_in for step in _every_step(own))}
    observed = _ONE_INPUT_BLOCKS * size**2 if Demand.FULL in wanted else 4 * len(steps) * size
    # Each input with itself: a pair, both sides of which are cut out of the group.
    block = size**2 if full else size
    blocks = _pair_blocks(steps, work.outputs)
    pair = blocks * block * work.itemsize
    pair += 2 * kept_by_input(structure, side.grid, side.channels, work.itemsize, final)
    # With a tolerance of the mixing's error, the pass may be run again.
    return at_once * max(observed * work.itemsize, pair)


def _heads(layers: Sequence[Layer], sides: Sequence[Group], itemsize: int) -> int:
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


def _additive(work: Work, side: Group, other: Group) -> tuple[int, int]:
    """Bytes that a group keeps beside its chain (packed rows, averages), and of the thin products
    of its rows with the other's, (rows, rows', kernels, P), on their way through the effects."""
    size = prod(side.grid)
    vectors = sum(
        _TABLE_TERMS if each.name() == "elementwise" else _VECTORS for each in work.layers
    )
    packed = side.rows * (size + BIN_LENGTH) * (side.channels + 2 * vectors) * work.itemsize
    thin = side.rows * other.rows * work.outputs * size * work.itemsize
    return packed, 8 * thin
