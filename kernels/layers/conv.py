"""A convolution over one, two or three position axes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.demand import Demand
from kernels.layers.dense import affine_weights, weighted
from kernels.layers.window import Padding, Slide, Windowed, window_entries, window_sum
from kernels.spec.model import NonNegative, Numbers
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.spec.width import Width


class Conv(Windowed):
    """The dense rule on windows of positions, which slide over x and x' alike."""

    type: Literal["conv"] = "conv"
    padding: Padding = "same"
    w_std: NonNegative = 1.0
    b_std: NonNegative = 0.0

    equation: ClassVar[str] = (
        "M[p, q] = mean_d K[p + d, q + d], the same for Theta; "
        "K' = w_std^2 M + b_std^2; Theta' = K' + w_std^2 M_Theta"
    )
    source: ClassVar[str] = "Novak et al., arXiv 1810.05148; Arora et al., arXiv 1904.11955"
    passes: ClassVar[float] = 4.0

    def forward(self, signal: Signal) -> Signal:
        return super().forward(signal).as_weighted()

    def pair(self, block: Block, site: Site) -> Block:
        return weighted(block.map(lambda k: self._mean_over_offsets(k, site)), site)

    def _mean_over_offsets(self, k: Array, site: Site) -> Array:
        rank = len(self.window)
        if site.wanted_in is Demand.FULL:
            k = k.reshape(site.left.grid + site.right.grid)
            joint = [(axis, rank + axis) for axis in range(rank)]
        else:
            k = k.reshape(site.left.grid)
            joint = [(axis,) for axis in range(rank)]
        slides = list(map(Slide, joint, self.window, self.steps))
        k = window_sum(k, slides, self.padding)
        k = k.reshape(prod(k.shape[:rank]), -1) if site.wanted_in is Demand.FULL else k.reshape(-1)
        return k / prod(self.window)

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        return width.units

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Any:
        return affine_weights(prod(self.window) * channels, width.units)

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        from kernels.layers.finite_chain import affine

        # One product instead of a convolution: XLA's are slow on a CPU when each network of a
        # batch has weights of its own.
        entries = window_entries(x, self.window, self.steps, self.padding)
        return affine(entries, **weights, w_std=numbers["w_std"], b_std=numbers["b_std"])
