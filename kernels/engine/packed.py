"""A group's inputs side by side in bins, for the thin products of the additive evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from kernels.demand import Step, packing_gap
from kernels.engine.additive import Averages, Parts
from kernels.engine.kept import Chain, Observed
from kernels.engine.side import Group
from kernels.plan.bins import Bins, one_each, pack


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
    a = parts.span.attention
    gap = packing_gap(parts.network.layers)
    masked = group.chain.mask is not None
    if gap is None or not masked or len(group.grid) != 1:
        bins = one_each(np.arange(len(group.x)), group.x.shape[1])
        chain = group.chain._replace(weights=None, steps=group.chain.steps[: a + 1])
        return Packed(bins, group.grid, group.x, chain, averages.through[..., None])
    bins = pack(group.lengths, group.grid[0], gap)
    size = len(group.x)
    x = _filled(bins.packed(np.asarray(group.x), bins.length), size)
    chain = _packed_chain(group.chain, parts.below, bins, (bins.length,), size)
    (end,) = parts.grid((bins.length,))
    through = bins.columns(np.asarray(averages.through)[: group.count], end)
    # The attention itself observed single inputs, which its values do not read.
    chain = chain._replace(steps=(*chain.steps, Observed(None, None, None, ())))
    return Packed(bins, (bins.length,), x, chain, _filled(through, size))


def _packed_chain(
    chain: Chain, steps: Sequence[Step], bins: Bins, grid: tuple[int, ...], size: int
) -> Chain:
    def leaf(rows: Any, length: int) -> Array:
        return _filled(bins.packed(np.asarray(rows)[: len(bins.bin)], length), size)

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
                    _packed_chain(inner, inner_steps, bins, below, size)
                    for inner, inner_steps in zip(observed.branches, step.branches, strict=True)
                ),
            )
        )
        grid = above
    return Chain(mask, None, tuple(kept))


def _filled(rows: npt.NDArray[Any], size: int) -> Array:
    """Bins on the device, (size, ...): one compiled shape however many there are."""
    out = np.zeros((size, *rows.shape[1:]), rows.dtype)
    out[: len(rows)] = rows
    return jnp.asarray(out)
