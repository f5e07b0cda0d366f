"""Average and sum pooling over windows of positions."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.demand import Demand
from kernels.layers.window import Padding, Slide, Windowed, window_sum
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class _Pool(Windowed):
    padding: Padding = "valid"

    source: ClassVar[str] = "Novak et al., arXiv 1810.05148, section 3.2"

    def demand(self, wanted: Demand) -> Demand:
        return Demand.FULL

    def pair(self, block: Block, site: Site) -> Block:
        return block.map(lambda k: self._over_window_pairs(k, site))

    def _over_window_pairs(self, k: Array, site: Site) -> Array:
        rank = len(self.window)
        k = k.reshape(site.left.grid + site.right.grid)
        k = window_sum(k, self._slides(2 * rank), self.padding)
        return k.reshape(prod(k.shape[:rank]), -1) / self._divisor()

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        x = window_sum(x, self._slides(len(self.window)), self.padding)
        return x / self._divisor() ** 0.5

    def _slides(self, axes: int) -> list[Slide]:
        """Windows along each of the first axes of an array alone: of one input, then of another."""
        rank = len(self.window)
        return [Slide((i,), self.window[i % rank], self.steps[i % rank]) for i in range(axes)]

    def _divisor(self) -> int:
        """Of the kernel, which is the square of the signal's."""
        raise self._undefined("_divisor")


class AvgPool(_Pool):
    """The mean over all pairs of positions of two windows, padding counted as zeros."""

    type: Literal["avg_pool"] = "avg_pool"

    equation: ClassVar[str] = (
        "K'[p, q] = mean over offsets (d, e) of K[p + d, q + e]; Theta' likewise"
    )

    def _divisor(self) -> int:
        return prod(self.window) ** 2


class SumPool(_Pool):
    """The sum over all pairs of positions of two windows."""

    type: Literal["sum_pool"] = "sum_pool"

    equation: ClassVar[str] = (
        "K'[p, q] = sum over offsets (d, e) of K[p + d, q + e]; Theta' likewise"
    )

    def _divisor(self) -> int:
        return 1
