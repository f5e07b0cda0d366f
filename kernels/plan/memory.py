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

from kernels.demand import (
    Demand,
    Step,
    multiplies,
    packing_gap,
    plan_one_input,
    plan_pair,
    wanted_by,
)
from kernels.layers.attention import Attention
from kernels.layers.chain import grid_after
from kernels.layers.finite_chain import weights_of
from kernels.layers.mixed_inputs import MixedInputs
from kernels.method import Additive, MonteCarlo
from kernels.plan.bins import BIN_LENGTH
from kernels.plan.head_memory import FLOAT64_BYTES, head_bytes
from kernels.plan.input_memory import VECTORS, kept_by_input
from kernels.plan.work import GroupShape, Work
from kernels.spec.width import Width, count_of

DEFAULT_MEMORY_BYTES: Final = 2**32
"""Of all tiles of a process together: 4 GiB."""

SHORT: Final = 32
"""Positions up to which the blocks of a whole group fit in cache together; the one-input passes
of such inputs run all at once, of longer ones one after the other."""

_OVERHEAD: Final = 2**23
"""8 MiB for what is not counted: lists of pairs, the stacks and heaps of threads."""

_VALUES: Final = 4
"""Times a tile's values are there: as calls return them, merged, mirrored and masked, handed over."""

_BLOCKS: Final = 2
_KERNEL_BLOCKS: Final = 3
"""Blocks of a micro-tile that are alive at once in any network, and more for each kernel."""
_BIN_BLOCKS: Final = 4
"""More of these in a call over pairs of bins."""
_THIN_PRODUCTS: Final = 2 * 2**19 * 8
"""What such a call returns, 8 MiB: as many numbers of the rows as of the columns (`pairs_per_call` of
engine/additive_group.py), counted in float64."""

_ONE_INPUT_BLOCKS: Final = 9
"""(P, P) arrays of a one-input pass beside what it keeps: 2.3 (relu attention) to 8.3 (softmax with
positions and residual)."""
_ONE_INPUT_VECTORS: Final = 4
"""(P,) arrays of such a pass for each layer, where it has no block."""

_THIN_COPIES: Final = 8
"""Times thin products of two groups are there at most: of bins, of inputs, mixed, through the layers,
around their means, and what these are made with."""

MONTE_CARLO_BYTES: Final = 2**28
"""What one compiled call of an estimate by finite networks may take beside the weights of one
network: 256 MiB, into which it divides itself (kernels/finite/sampler.py)."""
_WEIGHTS: Final = 3
"""Times the weights of one finite network are there at once: drawn, cut out of that, and with the ntk
a gradient."""
_MOMENTS: Final = 6
"""(n1, n2) arrays in float64 for each kernel of finite networks: its mean, its squared deviations, one
network's kernel, and what brings both up to date (kernels/finite/monte_carlo.py)."""


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
    if isinstance(work.method, MonteCarlo):
        return _of_finite_networks(work, work.method, one, two)
    steps = plan_pair(work.structure, bool(one.grid), work.final)
    sides = [one] if two is None else [one, two]
    kept = [_kept(work, side) for side in sides]
    values = _values(work, one, two or one)
    passes = max(_one_input_pass(work, steps, side) for side in sides)
    own = _OVERHEAD + _VALUES * values + work.replicates * passes
    own += head_bytes(work, sides)
    call = _pair_call(work, steps, one, two or one, edge_for) + values
    if isinstance(work.method, Additive):
        kept = [each + _packed(work, side) for each, side in zip(kept, sides, strict=True)]
        own += _thin(work, one, two or one) + _thin(work, two or one, one)
        call = max(call, _thin_call(work, steps, one, two or one))
    return TileMemory(tuple(kept), own, call)


def _of_finite_networks(
    work: Work, method: MonteCarlo, one: GroupShape, two: GroupShape | None
) -> TileMemory:
    other = two or one
    grid = tuple(map(max, one.grid, other.grid))
    width = Width(method.width, method.heads)
    weights = count_of(weights_of(work.structure, one.channels, grid, width)) * work.itemsize
    moments = _MOMENTS * FLOAT64_BYTES * work.kinds * one.rows * other.rows
    call = MONTE_CARLO_BYTES + _WEIGHTS * weights
    return TileMemory((0,) * (1 if two is None else 2), _OVERHEAD + moments, call)


def _kept(work: Work, side: GroupShape) -> int:
    """Bytes that a group keeps for the pairs that its inputs are in."""
    return side.rows * _kept_by_input(work, side)


def _kept_by_input(work: Work, side: GroupShape) -> int:
    return kept_by_input(work.structure, side.grid, side.channels, work.itemsize, work.final)


def _values(work: Work, one: GroupShape, two: GroupShape) -> int:
    """Bytes of a tile's kernels, replicates included."""
    entry = work.replicates
    if work.every_position:
        entry *= prod(prod(grid_after(work.structure, side.grid)) for side in (one, two))
    return work.itemsize * work.kinds * entry * one.rows * two.rows


def _pair_call(
    work: Work,
    steps: Sequence[Step],
    one: GroupShape,
    two: GroupShape,
    edge_for: Callable[[int, bool, int], int],
) -> int:
    """Bytes of one compiled call over pairs, beside the values it returns."""
    if _full(work, steps):
        pair = one.positions * two.positions
    else:
        pair = one.positions if Demand.DIAGONAL in {step.wanted_in for step in steps} else 1
    pair *= work.replicates
    edge = edge_for(pair, multiplies(steps), min(one.rows, two.rows))
    # Rows are cut out of both groups before a micro-tile begins: of one with itself, twice.
    cut = edge * (_kept_by_input(work, one) + _kept_by_input(work, two))
    return edge**2 * pair * work.itemsize * _pair_blocks(steps, work.kinds) + cut


def _thin_call(work: Work, steps: Sequence[Step], one: GroupShape, two: GroupShape) -> int:
    """Bytes of a compiled call over pairs of bins, by the additive method."""
    length = max(BIN_LENGTH, one.positions, two.positions) + (packing_gap(work.structure) or 0)
    blocks = _pair_blocks(steps, work.kinds) + _BIN_BLOCKS
    return length**2 * work.itemsize * blocks + _THIN_PRODUCTS


def _full(work: Work, steps: Sequence[Step]) -> bool:
    """Whether a pair of inputs needs every pair of their positions."""
    return work.every_position or Demand.FULL in {step.wanted_in for step in steps}


def _pair_blocks(steps: Sequence[Step], kinds: int) -> int:
    """Blocks of a micro-tile that are alive at once, at most."""
    flat = list(_every_step(steps))
    of_duals = max((step.layer.dual_blocks for step in flat), default=0)
    blocks = _BLOCKS + kinds * (_KERNEL_BLOCKS + of_duals)
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
    size = side.positions
    at_once = side.rows if size <= SHORT else 1
    own = plan_one_input(
        work.structure, bool(side.grid), Demand.FULL if work.every_position else Demand.NOTHING
    )
    wanted = {wanted_by(own, Demand.NOTHING), *(step.wanted_in for step in _every_step(own))}
    mixes_inputs = bool(steps) and isinstance(steps[0].layer, MixedInputs)
    every_pair = Demand.FULL in wanted or mixes_inputs
    vectors = _ONE_INPUT_VECTORS * len(steps)
    observed = size * (_ONE_INPUT_BLOCKS * size if every_pair else vectors)
    # Each input with itself: a pair, both sides of which are cut out of the group.
    block = size**2 if _full(work, steps) else size
    pair = _pair_blocks(steps, work.kinds) * block * work.itemsize
    pair += 2 * _kept_by_input(work, side)
    # Raw inputs are there beside the mixed ones until all are mixed.
    raw = side.rows * size * side.channels * work.itemsize if mixes_inputs else 0
    # With a tolerance of the mixing's error, the pass may be run again.
    return raw + at_once * max(observed * work.itemsize, pair)


def _packed(work: Work, side: GroupShape) -> int:
    """Bytes that a group keeps for the additive method: rows side by side in bins, and averages."""
    vectors = sum(max(VECTORS, layer.kept_numbers) for layer in work.layers)
    positions = side.rows * (prod(side.grid) + BIN_LENGTH)
    return positions * (side.channels + 2 * vectors) * work.itemsize


def _thin(work: Work, side: GroupShape, other: GroupShape) -> int:
    """Bytes of the thin products of a group's rows with another's, (rows, rows', kernels, P), on
    their way through the effects."""
    return _THIN_COPIES * side.rows * other.rows * work.kinds * prod(side.grid) * work.itemsize
