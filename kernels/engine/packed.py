"""A group's inputs side by side in bins, for the thin products of the additive evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from kernels.demand import Step, packing_gap
from kernels.engine.additive import Averages, Parts
from kernels.engine.group import Group
from kernels.engine.kept import Chain, Observed
from kernels.plan.bins import Bins, one_each, pack

Leaf = Callable[[Any, int], Any]
"""(rows (n, P, ...), positions of a bin there) -> the same in bins."""


@dataclass(frozen=True, eq=False)
class Packed:
    """Bins on the device, filled up to as many as the group could need.

    Attributes:
        bins: where each input lies, at the positions of the raw input.
        grid: position sizes of a bin.
        x: (bins, P, channels).
        chain: what the layers below the attention observed.
        through: `Averages.through`, (bins, P at the attention, slots).
    """

    bins: Bins
    grid: tuple[int, ...]
    x: Array
    chain: Chain
    through: Array

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves((self.x, self.chain, self.through)))


def packed(parts: Parts, group: Group, averages: Averages) -> Packed:
    """The bins of a group; of one input each where packing would change what layers do."""
    bins = _bins(parts, group)
    if bins is None:
        return _alone(parts, group, averages.through[..., None])
    size, count = len(group.x), group.count
    (end,) = parts.grid((bins.length,))

    def leaf(rows: Any, length: int) -> Array:
        return _zero_filled(bins.packed(np.asarray(rows)[:count], length), size)

    through = bins.columns(np.asarray(averages.through)[:count], end)
    return _side_by_side(parts, group, bins, leaf, _zero_filled(through, size))


def packed_shapes(parts: Parts, group: Group, averages: Averages) -> Packed:
    """What `packed` makes of a group, with shapes in place of arrays, from averages that are shapes too:
    functions are compiled by it before any average is computed."""
    bins = _bins(parts, group)
    size, through = len(group.x), averages.through
    if bins is None:
        return _alone(parts, group, jax.ShapeDtypeStruct((*through.shape, 1), through.dtype))

    def leaf(rows: Any, length: int) -> Any:
        return jax.ShapeDtypeStruct((size, length, *rows.shape[2:]), rows.dtype)

    (end,) = parts.grid((bins.length,))
    columns = jax.ShapeDtypeStruct((size, end, bins.slots), through.dtype)
    return _side_by_side(parts, group, bins, leaf, columns)


def _bins(parts: Parts, group: Group) -> Bins | None:
    """Where inputs lie; None where each has a bin for itself."""
    gap = packing_gap(parts.network.layers)
    if gap is None or group.chain.mask is None or len(group.grid) != 1:
        return None
    return pack(group.lengths, group.grid[0], gap)


def _alone(parts: Parts, group: Group, through: Any) -> Packed:
    bins = one_each(len(group.x), group.x.shape[1])
    chain = group.chain._replace(weights=None, steps=group.chain.steps[: parts.span.attention + 1])
    return Packed(bins, group.grid, group.x, chain, through)


def _side_by_side(parts: Parts, group: Group, bins: Bins, leaf: Leaf, through: Any) -> Packed:
    grid = (bins.length,)
    chain = _packed_chain(group.chain, parts.below, grid, leaf)
    # The attention itself observed single inputs, which its values do not read.
    chain = chain._replace(steps=(*chain.steps, Observed(None, None, None, ())))
    return Packed(bins, grid, leaf(group.x, bins.length), chain, through)


def _packed_chain(chain: Chain, steps: Sequence[Step], grid: tuple[int, ...], leaf: Leaf) -> Chain:
    mask = None if chain.mask is None else leaf(chain.mask, grid[0])
    kept: list[Observed] = []
    for step, observed in zip(steps, chain.steps, strict=False):
        below, above = grid, step.layer.output_grid(grid)
        kept.append(
            Observed(
                None if observed.mask is None else leaf(observed.mask, above[0]),
                jax.tree.map(lambda rows, n=below[0]: leaf(rows, n), observed.seen),
                None,
                tuple(
                    _packed_chain(inner, inner_steps, below, leaf)
                    for inner, inner_steps in zip(observed.branches, step.branches, strict=True)
                ),
            )
        )
        grid = above
    return Chain(mask, None, tuple(kept))


def _zero_filled(rows: npt.NDArray[Any], size: int) -> Array:
    """Bins on the device, (size, ...): one compiled shape however many there are."""
    out = np.zeros((size, *rows.shape[1:]), rows.dtype)
    out[: len(rows)] = rows
    return jnp.asarray(out)
