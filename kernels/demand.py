"""Demand before supply: the backward walk that finds what each layer must deliver.

A layer that ends in `flatten` needs only the diagonal of the position pairs below it, and a
global pool needs one weighted sum; computing the full block of position pairs for either would
be T or T^2 times the work. The walk goes from the last layer to the first, twice:

- for two different inputs (`plan_pair`): what the result needs;
- for one input with itself (`plan_one_input`): the same, joined with what each layer reads of an
  input's own covariance (a variance, the logits of an attention). Above the last reader nothing
  is wanted unless the caller asks for the input's own kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernels.layers.layer import Layer


class Demand(Enum):
    """What is wanted of the T x T' block of position pairs of two inputs."""

    NOTHING = "nothing"
    """No layer above reads it."""
    POINT = "point"
    """There are no positions (any more): one number a pair of inputs."""
    DIAGONAL = "diagonal"
    """The pairs (p, p) only: T numbers."""
    READOUT = "readout"
    """One weighted sum over all pairs, u^T K u': one number."""
    FULL = "full"
    """Every pair of positions."""

    def join(self, other: Demand) -> Demand:
        """The least that serves both."""
        if self is other or other is Demand.NOTHING:
            return self
        return other if self is Demand.NOTHING else Demand.FULL


def final_demand(every_position: bool) -> Demand:
    """What is wanted at a network's end for two inputs: FULL where the result has their kernel for every
    pair of positions (form "positions"), else POINT, one number a pair."""
    return Demand.FULL if every_position else Demand.POINT


@dataclass(frozen=True)
class Step:
    """One layer with what comes in and what is wanted out; hashable, a compilation key.

    Attributes:
        layer: the layer, its numbers taken out.
        wanted_in: what the layer gets of the block below it.
        wanted_out: what is handed on of the layer's own block.
        branches: for a parallel layer, the steps of each branch.
        masks: whether the block is set to zero at masked positions after the layer. That is spared
            where the reader gives them the weight zero anyway, as attention and readouts do: what
            a pointwise layer makes of the zeros below it is finite.
    """

    layer: Layer
    wanted_in: Demand
    wanted_out: Demand
    branches: tuple[tuple[Step, ...], ...] = ()
    masks: bool = True


def wanted_by(steps: Sequence[Step], otherwise: Demand) -> Demand:
    """What a chain wants of its input; `otherwise` for the empty chain, the identity."""
    return steps[0].wanted_in if steps else otherwise


def multiplies(steps: Sequence[Step]) -> bool:
    """Whether blocks of every pair of positions go through products of matrices."""
    return any(step.layer.multiplies for step in _of_full_blocks(steps))


def may_be_flat(steps: Sequence[Step]) -> bool:
    """Whether some of these products look for attention that is flat, see `Layer.may_be_flat`."""
    return any(step.layer.may_be_flat for step in _of_full_blocks(steps))


def _of_full_blocks(steps: Sequence[Step]) -> list[Step]:
    """The steps, those of branches too, whose input is a block of every pair of positions."""
    found = [step for step in steps if step.wanted_in is Demand.FULL]
    return found + [inner for step in steps for b in step.branches for inner in _of_full_blocks(b)]


def plan_pair(
    layers: Sequence[Layer], positions: bool, final: Demand = Demand.POINT
) -> tuple[Step, ...]:
    """The steps for two different inputs.

    Args:
        layers: the canonical layers, numbers taken out.
        positions: whether the input has position axes.
        final: POINT for networks without positions at the end; FULL for all pairs of positions.
    """
    return _walk(layers, final, positions, observing=False)


def plan_one_input(
    layers: Sequence[Layer], positions: bool, own_kernel: Demand = Demand.NOTHING
) -> tuple[Step, ...]:
    """The steps for one input with itself.

    Args:
        layers: the canonical layers, numbers taken out.
        positions: whether the input has position axes.
        own_kernel: what is wanted of the input's own kernel at the end.
    """
    return _walk(layers, own_kernel, positions, observing=True)


@dataclass(frozen=True)
class Span:
    """Where a chain can be evaluated additively: pointwise layers between attention and a pool.

    Attributes:
        attention: index of the attention.
        pool: index of the global pool.
    """

    attention: int
    pool: int


def additive_span(layers: Sequence[Layer]) -> Span | None:
    """The span of a chain that has one: `[..., attention, pointwise layers, global pool, ...]`.

    A network with an estimated layer has none: what lies above that exists in many replicates.
    """
    if any(layer.contains_estimate() for layer in layers):
        return None
    for pool, layer in enumerate(layers):
        if not layer.removes_positions:
            continue
        start = pool
        while start and layers[start - 1].pointwise:
            start -= 1
        if layer.demand(Demand.POINT) is Demand.READOUT and start and layers[start - 1].separable:
            return Span(start - 1, pool)
        return None
    return None


def packing_gap(layers: Sequence[Layer]) -> int | None:
    """Positions to keep free between inputs that are packed into one for the additive evaluation.

    None where that changes what the layers below the attention do.
    """
    span = additive_span(layers)
    if span is None or layers[span.attention].values_have_places:
        return None
    below = [layer.reach for layer in layers[: span.attention]]
    return None if None in below else sum(reach for reach in below if reach is not None)


def _walk(
    layers: Sequence[Layer], wanted: Demand, positions: bool, observing: bool
) -> tuple[Step, ...]:
    has_positions = [positions]
    for layer in layers:
        has_positions.append(has_positions[-1] and not layer.removes_positions)
    steps: list[Step] = []
    for layer, positions_in in reversed(list(zip(layers, has_positions[:-1], strict=True))):
        incoming = Demand.NOTHING if wanted is Demand.NOTHING else layer.demand(wanted)
        # Branches have readout weights of their own, so one sum cannot serve all of them.
        from_branches = Demand.FULL if wanted is Demand.READOUT else wanted
        branches = tuple(
            _walk(branch, from_branches, positions_in, observing) for branch in layer.branches_of()
        )
        for branch in branches:
            needed = wanted_by(branch, from_branches)
            incoming = incoming.join(Demand.FULL if needed is Demand.READOUT else needed)
        if observing:
            incoming = incoming.join(layer.observes)
        if not positions_in and incoming is not Demand.NOTHING:
            incoming = Demand.POINT
        weighed = wanted is Demand.READOUT or (bool(steps) and steps[-1].layer.separable)
        masks = observing or not (layer.pointwise and weighed)
        steps.append(Step(layer, incoming, wanted, branches, masks))
        wanted = incoming
    return tuple(reversed(steps))
