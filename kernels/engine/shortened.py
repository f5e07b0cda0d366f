"""Inputs of a group at fewer positions than the group has, for exact pairs of short ones.

The additive evaluation has all inputs in the bucket of the longest, while the pairs that it leaves to
the exact one, whose cost grows with the cube of the padding, are mostly of short inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from kernels.demand import Step, packing_gap
from kernels.engine.group import Group
from kernels.engine.kept import Chain, Observed
from kernels.engine.network import Network
from kernels.mechanisms.mixing import Mixing


def enough_positions(network: Network, one: Group, two: Group, pair: tuple[int, int]) -> int | None:
    """Positions at which two inputs may be computed: half of the group's, an eighth of the products.

    None where only the group's own will do. Where inputs may lie side by side, they may be cut off
    as well: what follows an input's last position and the gap reaches nothing of it. There is no
    quarter, since every size is compiled, which takes as long as hundreds of such pairs.
    """
    gap = packing_gap(network.layers)
    if gap is None or one.chain.mask is None or one.grid != two.grid or len(one.grid) != 1:
        return None
    half = one.grid[0] // 2
    return half if max(one.lengths[pair[0]], two.lengths[pair[1]]) + gap <= half else None


@dataclass(frozen=True)
class Shortened:
    """What cuts inputs, and what they keep, to their first positions; a compilation key.

    Attributes:
        network: whose inputs.
        size: positions that are left of the raw input.
    """

    network: Network
    size: int

    def __call__(self, x: Array, chain: Chain) -> tuple[Array, Chain]:
        """(n, P, channels) and chains of n inputs."""
        return x[:, : self.size], _chain(chain, self.network.program().pair, (self.size,))


def _chain(chain: Chain, steps: Sequence[Step], grid: tuple[int, ...]) -> Chain:
    mask, weights = _cut((chain.mask, chain.weights), grid)
    kept: list[Observed] = []
    for step, observed in zip(steps, chain.steps, strict=True):
        above = step.layer.output_grid(grid)
        branches = [
            _chain(inner, inner_steps, grid)
            for inner, inner_steps in zip(observed.branches, step.branches, strict=True)
        ]
        own_mask, own_weights = _cut((observed.mask, observed.weights), above)
        seen = observed.seen
        seen = _mixing(seen, grid[0]) if isinstance(seen, Mixing) else _cut(seen, grid)
        kept.append(Observed(own_mask, seen, own_weights, tuple(branches)))
        grid = above
    return Chain(mask, weights, tuple(kept))


def _cut(rows: Any, grid: tuple[int, ...]) -> Any:
    """Leaves (n, P, ...) at fewer positions; above a pool, where there are none, as they are."""
    return jax.tree.map(lambda leaf: leaf[:, : grid[0]], rows) if grid else rows


def _mixing(mixing: Mixing, size: int) -> Mixing:
    """A(x) of every input, (n, P, P), between its first positions; how far off it is, nobody asks."""
    if mixing.write is None:
        return Mixing(mixing.read[:, :size, :size])
    return Mixing(mixing.read[:, :, :size], mixing.write[:, :size])
