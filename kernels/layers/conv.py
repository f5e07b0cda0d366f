"""A convolution over one, two or three position axes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.demand import Demand
from kernels.layers.dense import weighted
from kernels.layers.window import Padding, Windowed, window_sum
from kernels.spec.model import NonNegative
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class Conv(Windowed):
    """The dense rule applied to the mean over window offsets d of K[p + d, q + d]."""

    type: Literal["conv"] = "conv"
    padding: Padding = "same"
    w_std: NonNegative = 1.0
    b_std: NonNegative = 0.0

    equation: ClassVar[str] = (
        "M[p, q] = mean_d K[p + d, q + d], the same for Theta; "
        "K' = w_std^2 M + b_std^2; Theta' = K' + w_std^2 M_Theta"
    )
    source: ClassVar[str] = "Novak et al., arXiv 1810.05148; Arora et al., arXiv 1904.11955"

    def forward(self, signal: Signal) -> Signal:
        return super().forward(signal).as_weighted()

    def pair(self, block: Block, site: Site) -> Block:
        return weighted(block.map(lambda k: self._mean_over_offsets(k, site)), site)

    def _mean_over_offsets(self, k: Array, site: Site) -> Array:
        rank = len(self.window)
        if site.form is Demand.FULL:
            k = k.reshape(site.left.grid + site.right.grid)
            joint = [(axis, rank + axis) for axis in range(rank)]
        else:
            k = k.reshape(site.left.grid)
            joint = [(axis,) for axis in range(rank)]
        for axes, window, step in zip(joint, self.window, self.steps, strict=True):
            k = window_sum(k, axes, window, step, self.padding)
        k = k.reshape(prod(k.shape[:rank]), -1) if site.form is Demand.FULL else k.reshape(-1)
        return k / prod(self.window)
