"""What an estimated network adds to the passes: heads handed in, and replicates for error bars.

Everything above an estimated layer exists once for each replicate of the jackknife (all heads, all
but one group of them); what lies below is computed once. Replicates are one axis that `jax.vmap`
adds where it is needed, so layers know nothing of it; all that differs from one to another is the heads
that an input has and which groups of them are averaged over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kernels.demand import Step
from kernels.engine.block import Block
from kernels.engine.kept import Chain, Observed
from kernels.estimate.jackknife import included_groups
from kernels.estimate.places import places
from kernels.layers.layer import Layer


@dataclass(frozen=True)
class Replicate:
    """One replicate, in the one-input pass.

    Attributes:
        included: the groups of heads that it averages over, (groups,) bool.
        heads: what the input keeps of those of each estimated layer, in the order of `places`: that
            in which the pass meets the layers, each of which takes the next.
    """

    included: Array
    heads: Iterator[Array]


def replicates_of_one(
    layers: Sequence[Layer], groups: int, steps: Sequence[Step], run: Callable[[Replicate], Chain]
) -> Callable[[Sequence[Array]], Chain]:
    """heads -> what one input keeps in all replicates.

    Args:
        layers: the network.
        groups: into which its heads are divided.
        steps: the plan for two inputs.
        run: the one-input pass of one replicate, whose heads it takes one by one: it is called once.

    Heads are what the input keeps of those of each estimated layer, in the order of `places`.
    """

    def replicates(heads: Sequence[Array]) -> Chain:
        def replicate(included: Array, heads: Sequence[Array]) -> Chain:
            return run(Replicate(included, iter(heads)))

        # Heads differ between replicates where what comes in is estimated already.
        own = tuple(0 if place.stacked else None for place in places(layers))
        return jax.vmap(replicate, (0, own), _axes(steps))(_included(groups), tuple(heads))

    return replicates


def replicates_of_pair(
    groups: int, steps: Sequence[Step], run: Callable[[Chain, Chain, Array], Block]
) -> Callable[[Chain, Chain], Block]:
    """(one, two) -> the kernels of a pair in all replicates.

    Args:
        groups: into which the network's heads are divided.
        steps: the plan for two inputs.
        run: the pair pass of one replicate, from the groups of heads that it averages over.
    """
    axes = _axes(steps)

    def replicates(one: Chain, two: Chain) -> Block:
        def replicate(included: Array, one: Chain, two: Chain) -> Block:
            return run(one, two, included)

        return jax.vmap(replicate, (0, axes, axes))(_included(groups), one, two)

    return replicates


def _included(groups: int) -> Array:
    return jnp.asarray(included_groups(groups))


def _axes(steps: Sequence[Step], above: bool = False) -> Chain:
    """Where what one input keeps of a chain has an axis of replicates: 0, or None.

    Args:
        steps: the plan for two inputs.
        above: what comes in is estimated.
    """
    axis: Any = 0 if above else None  # a leaf of the prefix tree, where chains have arrays
    start, observed = axis, list[Observed]()
    for step in steps:
        branches = tuple(_axes(branch, axis == 0) for branch in step.branches)
        seen, axis = axis, 0 if step.layer.contains_estimate() else axis
        observed.append(Observed(None, seen, axis, branches, seen))
    return Chain(None, start, tuple(observed))
