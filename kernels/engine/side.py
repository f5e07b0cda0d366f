"""One side of a tile: a group of inputs on the device, with its one-input pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kernels.demand import Demand
from kernels.engine.chain import Chain
from kernels.engine.passes import Network, one_input_pass
from kernels.inputs import Inputs
from kernels.plan.tiles import group_rows


@dataclass(frozen=True, eq=False)
class Group:
    """Inputs on the device, filled up to a compiled size.

    Attributes:
        count: how many are real; what is computed of the others is never read.
        grid: their position sizes.
        x: (size, P, channels) or (size, channels).
        chain: what the one-input pass kept, `size` along every first axis.
    """

    count: int
    grid: tuple[int, ...]
    x: Array
    chain: Chain

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves((self.x, self.chain)))

    @classmethod
    def of(
        cls, network: Network, inputs: Inputs, numbers: Any, heads: tuple[Array, ...], size: int
    ) -> Group:
        """Runs the one-input pass of a group; `heads` are those of kernels/engine/heads.py."""
        count, grid = len(inputs), inputs.grid
        flat = inputs.x.reshape(count, *([prod(grid)] if grid else []), -1)
        mask = None if inputs.mask is None else _filled(inputs.mask.reshape(count, -1), size)
        x = jnp.asarray(_filled(flat, size))
        real = None if mask is None else jnp.asarray(mask)
        filled = tuple(_filled(each, size) for each in heads)
        chain = one_input_pass(network, grid)(x, real, numbers, filled, count)
        return cls(count, grid, x, chain)


def compiled_rows(network: Network, inputs: Inputs) -> int:
    """Rows that a group is filled up to: a full group's, or a 32nd of it, ...

    Only micro-tiles with rows of the group are computed, so filling up costs little, and a ragged
    last group mostly needs no compilation of its own. A function of the group alone: its numbers
    must not depend on what else is in the job.
    """
    if network.replicates:  # heads take too much memory to fill up with
        return 1 << (len(inputs) - 1).bit_length()
    rows = group_rows(prod(inputs.grid), Demand.FULL in network.forms)
    while len(inputs) <= rows // 32:
        rows //= 32
    return max(rows, 1 << (len(inputs) - 1).bit_length())


def _filled(rows: Any, size: int) -> Any:
    """Rows repeated up to `size`."""
    return rows if len(rows) == size else rows[np.minimum(np.arange(size), len(rows) - 1)]
