"""Dropout, as in training."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.layers.layer import Layer
from kernels.spec.model import Numbers, PositiveFraction
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class Dropout(Layer):
    """Keeps a unit with probability `rate` and divides it by `rate`.

    The units of two inputs are dropped independently, so only an input's position with itself
    is scaled: its own variances always, and the entries of X against X on their diagonal.
    """

    type: Literal["dropout"] = "dropout"
    rate: PositiveFraction

    equation: ClassVar[str] = (
        "K'[p, p](x, x) = K[p, p](x, x) / rate, Theta' likewise; all other entries unchanged"
    )
    source: ClassVar[str] = "Srivastava et al., JMLR 2014; Novak et al., arXiv 1912.02803"

    def forward(self, signal: Signal) -> Signal:
        return signal.with_(gaussian=False)

    @property
    def pointwise(self) -> bool:
        return True

    def pair(self, block: Block, site: Site) -> Block:
        import jax.numpy as jnp

        if not site.identical:
            return block
        met = site.coincide()
        return block.map(lambda k: jnp.where(met, k / site.numbers["rate"], k))

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        import jax
        import jax.numpy as jnp
        import numpy as np

        *grid, channels = x.shape
        positions = x.reshape(-1, channels)

        def kept(position: Array) -> Array:
            # A key for each position, by its place along each axis: padding changes nothing.
            own = reduce(jax.random.fold_in, position, key)
            return jax.random.bernoulli(own, numbers["rate"], (channels,))

        keep = jax.vmap(kept)(jnp.asarray(np.indices(grid).reshape(len(grid), len(positions)).T))
        return jnp.where(keep, positions / numbers["rate"], 0).reshape(x.shape)
