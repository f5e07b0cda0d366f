"""One side of a tile: a group of inputs on the device, with its one-input pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jax import Array

from kernels.engine.heads import Heads
from kernels.engine.kept import Chain, doubts
from kernels.engine.network import Network
from kernels.engine.passes import inputs_pass, one_input_pass
from kernels.inputs import Inputs
from kernels.result import ErrorEstimate


@dataclass(frozen=True, eq=False)
class Group:
    """Inputs on the device, filled up to a compiled size.

    Attributes:
        rows: the inputs.
        count: how many are real; what is computed of the others is never read.
        grid: their position sizes.
        lengths: positions of each up to the last real one, (count,); () for vectors and images.
        x: (size, P, channels) or (size, channels), mixed already where the network wants them so.
        chain: what the one-input pass kept, `size` along every first axis.
        beyond_landmarks: see `Heads`.
    """

    rows: Inputs
    count: int
    grid: tuple[int, ...]
    lengths: npt.NDArray[np.int64]
    x: Array
    chain: Chain
    beyond_landmarks: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves((self.x, self.chain)))

    def error_estimate(self) -> ErrorEstimate:
        """The largest error of what was observed of an input."""
        errors = [float(doubt.error[: self.count].max()) for doubt in doubts(self.chain)]
        found = {"mixing": max(errors)} if errors else {}
        if self.beyond_landmarks is not None:
            found["landmarks"] = self.beyond_landmarks
        return found

    @classmethod
    def of(cls, network: Network, inputs: Inputs, numbers: Any, heads: Heads, size: int) -> Group:
        """Runs the one-input pass of a group; again, if some error is not tolerated."""
        count, grid = len(inputs), inputs.grid
        flat = inputs.x.reshape(count, *([prod(grid)] if grid else []), -1)
        mask = None if inputs.mask is None else _repeated_to(inputs.mask.reshape(count, -1), size)
        x = jax.device_put(_repeated_to(flat, size))
        real = None if mask is None else jax.device_put(mask)
        if network.mixes_inputs:
            x = inputs_pass(network, grid)(x, (real, real), numbers, count)
        states = tuple(_repeated_to(each, size) for each in heads.states)
        lengths = inputs.lengths if len(grid) == 1 else np.zeros(0, np.int64)
        chain = one_input_pass(network, grid)(x, (real, real), numbers, states, count)
        within = [doubt.within for doubt in doubts(chain) if doubt.within is not None]
        if not all(bool(each[:count].all()) for each in within):
            network = network.within_tolerance()
            del chain, within  # or two of them take memory
            chain = one_input_pass(network, grid)(x, (real, real), numbers, states, count)
        return cls(inputs, count, grid, lengths, x, chain, heads.beyond_landmarks)


def _repeated_to(rows: Any, size: int) -> Any:
    """Rows with the last one repeated, `size` in all."""
    return rows if len(rows) == size else rows[np.minimum(np.arange(size), len(rows) - 1)]
