"""Layer normalisation over channels, or over channels and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from kernels.demand import Demand
from kernels.errors import SpecError
from kernels.layers.layer import Layer
from kernels.spec.model import NonNegative, Numbers, listed
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site

Axis = Literal["channel", "spatial"]


def _one_of_two_forms(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if sorted(axes) not in (["channel"], ["channel", "spatial"]):
        raise ValueError(f'expected ["channel"] or ["channel", "spatial"], got {list(axes)}')
    return tuple(sorted(axes))


class LayerNorm(Layer):
    """Division by sqrt((v + eps)(v' + eps)).

    v is the position's own variance, or with "spatial" the mean variance over real positions.
    """

    type: Literal["layer_norm"] = "layer_norm"
    axes: Annotated[
        tuple[Axis, ...],
        listed('["channel"] or ["channel", "spatial"]'),
        AfterValidator(_one_of_two_forms),
    ] = ("channel",)
    eps: NonNegative = 1e-12

    equation: ClassVar[str] = "K' = K / sqrt((v + eps)(v' + eps)); Theta' likewise"
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540; Ba et al., arXiv 1607.06450"
    passes: ClassVar[float] = 2.0

    def forward(self, signal: Signal) -> Signal:
        if not signal.gaussian:
            raise SpecError(
                "layer_norm needs a Gaussian input: put it after a dense, conv or attention "
                "layer, or after a sum of branches that end in one"
            )
        return signal

    @property
    def pointwise(self) -> bool:
        return "spatial" not in self.axes

    @property
    def reach(self) -> int | None:
        return 0  # what is observed of all positions is a factor of each by then

    def demand(self, wanted: Demand) -> Demand:
        return wanted

    @property
    def observes(self) -> Demand:
        return Demand.DIAGONAL

    def observe(self, cov: Array, site: Site) -> Array:
        """The factor of each position, (P,), or () for a vector: 0 where the variance is 0."""
        import jax.numpy as jnp

        variance = site.variance(cov)
        if "spatial" in self.axes and site.wanted_in is not Demand.POINT:
            mask = site.left.mask
            real = jnp.ones(variance.size) if mask is None else mask.astype(float)
            variance = jnp.full_like(variance, _mean(variance, real))
        shifted = variance + site.numbers["eps"]
        zero = shifted <= 0  # and not NaN, which stays
        return jnp.where(zero, 0, 1 / jnp.sqrt(jnp.where(zero, 1, shifted)))

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        assert weights is not None
        return weights * seen

    def pair(self, block: Block, site: Site) -> Block:
        if site.wanted_in is Demand.READOUT:
            return block  # the factors are part of the readout weights below
        left, right = site.broadcast(site.left.seen, site.right.seen)
        # One after the other: the product of both factors may underflow where the kernel does not.
        return block.map(lambda k: k * left * right)

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        """(x - mean) / sqrt(variance + eps) over channels, with "spatial" over real positions too.

        The channels of a Gaussian input have zero mean in the limit, so that subtracting their
        mean, as networks do, changes the kernels by O(1 / width) only.
        """
        import jax.numpy as jnp
        from jax.lax import stop_gradient

        if "spatial" in self.axes and x.ndim > 1:
            axes, grid = tuple(range(x.ndim)), x.shape[:-1]
            real = jnp.ones(grid, bool) if mask is None else mask
            count = jnp.maximum(real.sum(), 1) * x.shape[-1]
            real = real[..., None]
        else:
            axes, real, count = (-1,), True, x.shape[-1]
        centred = jnp.where(real, x - x.sum(axes, keepdims=True) / count, 0)
        # In units of the largest, whose square cannot overflow; the result does not depend on them.
        largest = stop_gradient(jnp.abs(centred).max(axes, keepdims=True))
        unit = jnp.where(largest > 0, largest, 1)
        scaled = centred / unit
        shifted = (scaled**2).sum(axes, keepdims=True) / count
        shifted = shifted + (jnp.sqrt(numbers["eps"]) / unit) ** 2
        return jnp.where(shifted > 0, scaled / jnp.sqrt(jnp.where(shifted > 0, shifted, 1)), 0)


def _mean(variance: Array, real: Array) -> Array:
    """The mean variance of real positions, also where their sum would overflow."""
    import jax.numpy as jnp

    count = jnp.maximum(real.sum(), 1)
    fits = variance.max() < jnp.finfo(variance.dtype).max / variance.size
    return jnp.where(fits, (variance * real).sum() / count, (variance * (real / count)).sum())
