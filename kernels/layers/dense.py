"""A fully connected layer, acting on the channels of each position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.layers.layer import LinearAtEachPosition
from kernels.spec.model import NonNegative, Numbers
from kernels.spec.signal import Signal
from kernels.spec.width import Normal, Width

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class Dense(LinearAtEachPosition):
    """Fully connected: every channel of a position to every unit."""

    type: Literal["dense"] = "dense"
    w_std: NonNegative = 1.0
    b_std: NonNegative = 0.0

    equation: ClassVar[str] = "K' = w_std^2 K + b_std^2; Theta' = K' + w_std^2 Theta"
    source: ClassVar[str] = "Jacot et al., arXiv 1806.07572; Lee et al., arXiv 1711.00165"
    passes: ClassVar[float] = 1.0

    def forward(self, signal: Signal) -> Signal:
        return signal.as_weighted()

    def pair(self, block: Block, site: Site) -> Block:
        return weighted(block, site)

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        return width.units

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Any:
        return affine_weights(channels, width.units)

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        from kernels.layers.finite_chain import affine

        return affine(x, **weights, w_std=numbers["w_std"], b_std=numbers["b_std"])


def affine_weights(channels: int, units: int) -> dict[str, Normal]:
    """Weights (channels, units) and biases (units,)."""
    return {"w": Normal((channels, units), linear=True), "b": Normal((units,))}


def weighted(block: Block, site: Site) -> Block:
    """The NTK-parameterized weight layer on a block that already is its input's mean product."""
    n = site.numbers
    nngp = n["w_std"] ** 2 * block.nngp + site.constant(n["b_std"] ** 2)
    if block.ntk is None:
        return block._replace(nngp=nngp)
    return block._replace(nngp=nngp, ntk=nngp + n["w_std"] ** 2 * block.ntk)
