"""Layers after which there are no positions: flatten and the global pools."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.demand import Demand
from kernels.errors import SpecError
from kernels.layers.layer import Layer
from kernels.spec.model import Numbers
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.spec.width import Width


class Flatten(Layer):
    """Positions become channels: the mean of the pairs (p, p), masked ones counting as zeros.

    The flattened channels differ in variance from position to position, so an activation or a
    layer norm may not follow before the next weights.
    """

    type: Literal["flatten"] = "flatten"

    equation: ClassVar[str] = "K' = mean_p K[p, p]; Theta' likewise"
    source: ClassVar[str] = "Novak et al., arXiv 1810.05148, section 3.1"

    def forward(self, signal: Signal) -> Signal:
        if not signal.grid:
            return signal
        channels = None if signal.channels is None else signal.channels * signal.positions
        return signal.with_(grid=(), channels=channels, gaussian=False, alike=False, masked=False)

    @property
    def removes_positions(self) -> bool:
        return True

    @property
    def trims(self) -> bool:
        return False  # the mean is over the caller's positions

    def demand(self, wanted: Demand) -> Demand:
        return Demand.DIAGONAL

    def pair(self, block: Block, site: Site) -> Block:
        if site.wanted_in is Demand.POINT:
            return block
        return block.map(lambda k: k.mean())

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        return prod(grid) * channels

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        return x.reshape(-1)


class _GlobalPool(Layer):
    source: ClassVar[str] = "Novak et al., arXiv 1810.05148, section 3.2"

    def forward(self, signal: Signal) -> Signal:
        if not signal.grid:
            raise SpecError(
                "a global pool needs positions to pool over, but its input is a vector; "
                "remove it, or send sequences (n, T, d), images (n, H, W, C) or volumes "
                "(n, D, H, W, C)"
            )
        return signal.with_(grid=(), masked=False)

    @property
    def removes_positions(self) -> bool:
        return True

    def demand(self, wanted: Demand) -> Demand:
        return Demand.READOUT

    def pair(self, block: Block, site: Site) -> Block:
        return block  # the weighted sum arrives ready made

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        flat = None if mask is None else mask.reshape(-1)
        positions = x.reshape(-1, x.shape[-1])
        return self.readout(None, None, flat, len(positions)) @ positions


class GlobalAvgPool(_GlobalPool):
    """The mean over all pairs of real positions."""

    type: Literal["global_avg_pool"] = "global_avg_pool"

    equation: ClassVar[str] = "K' = mean over real (p, q) of K[p, q]; Theta' likewise"

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        import jax.numpy as jnp

        if mask is None:
            return jnp.full(size, 1 / size)
        # A row that exists only as padding of a tile, or whose mask a strided layer emptied, has
        # no real position and pools to zero.
        real = mask.astype(float)
        return real / jnp.maximum(real.sum(), 1)


class GlobalSumPool(_GlobalPool):
    """The sum over all pairs of real positions."""

    type: Literal["global_sum_pool"] = "global_sum_pool"

    equation: ClassVar[str] = "K' = sum over real (p, q) of K[p, q]; Theta' likewise"

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        import jax.numpy as jnp

        return jnp.ones(size) if mask is None else mask.astype(float)
