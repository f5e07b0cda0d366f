"""What an estimated network adds to the passes: heads handed in, and replicates for error bars.

Everything above an estimated layer exists once for each replicate of the jackknife (all heads, all
but one group of them); what lies below is computed once. Replicates are one axis that `jax.vmap`
adds where it is needed, so layers know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kernels.demand import Step
from kernels.engine.block import Block
from kernels.engine.kept import Chain, Observed
from kernels.estimate.jackknife import kept_groups
from kernels.estimate.places import places
from kernels.layers.layer import Layer


def replicates_of_one(
    layers: Sequence[Layer], groups: int, steps: Sequence[Step], run: Callable[[Any], Chain]
) -> Callable[[Sequence[Any], Sequence[Array]], Chain]:
    """(numbers, heads) -> what one input keeps in all replicates.

    Args:
        layers: the network.
        groups: into which its heads are divided.
        steps: the plan for two inputs.
        run: the one-input pass, from the numbers.

    Heads are what the input keeps of those of each estimated layer, in the order of `places`.
    """

    def replicates(numbers: Sequence[Any], heads: Sequence[Array]) -> Chain:
        def replicate(kept: Array, heads: Sequence[Array]) -> Chain:
            return run(_estimated(layers, numbers, kept, iter(heads)))

        # Heads differ between replicates where what comes in is estimated already.
        own = tuple(0 if place.stacked else None for place in places(layers))
        return jax.vmap(replicate, (0, own), _axes(steps))(_kept(groups), tuple(heads))

    return replicates


def replicates_of_pair(
    layers: Sequence[Layer],
    groups: int,
    steps: Sequence[Step],
    run: Callable[[Chain, Chain, Any], Block],
) -> Callable[[Chain, Chain, Sequence[Any]], Block]:
    """(one, two, numbers) -> the kernels of a pair in all replicates, as `run` gives them in one.

    Args: as above.
    """

    def replicates(one: Chain, two: Chain, numbers: Sequence[Any]) -> Block:
        def replicate(kept: Array, one: Chain, two: Chain) -> Block:
            return run(one, two, _estimated(layers, numbers, kept, None))

        axes = _axes(steps)
        return jax.vmap(replicate, (0, axes, axes))(_kept(groups), one, two)

    return replicates


def _kept(groups: int) -> Array:
    return jnp.asarray(kept_groups(groups))


def _estimated(
    layers: Sequence[Layer], numbers: Sequence[Any], kept: Array, heads: Iterator[Any] | None
) -> tuple[Any, ...]:
    """The layers' numbers with what estimated layers read beside them (`Layer.estimates`)."""
    result: list[Any] = []
    for layer, own in zip(layers, numbers, strict=True):
        added: dict[str, Any] = {}
        if layer.estimates:
            added = {"kept": kept} if heads is None else {"kept": kept, "heads": next(heads)}
        if layer.branches_of():
            pairs = zip(layer.branches_of(), own["branches"], strict=True)
            added["branches"] = tuple(_estimated(*pair, kept, heads) for pair in pairs)
        result.append({**own, **added})
    return tuple(result)


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
