"""What every elementwise layer shares: it reads variances and applies its dual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kernels.demand import Demand
from kernels.errors import SpecError
from kernels.layers.fusion import materialised
from kernels.layers.layer import Layer
from kernels.spec.model import Numbers
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class Activation(Layer):
    """K' = E[f(u) f(v)], Theta' = E[f'(u) f'(v)] Theta, (u, v) ~ N(0, [[p, c], [c, q]])."""

    dual_blocks: ClassVar[int] = 3

    def forward(self, signal: Signal) -> Signal:
        if not signal.gaussian:
            raise SpecError(
                f"{self.name()} needs a Gaussian input: put it after a dense, conv or attention "
                f"layer, or after a sum of branches that end in one (an activation of an "
                f"activation, of raw input or of flattened positions has no such limit)"
            )
        return signal.with_(gaussian=False, own_weights=0)

    @property
    def pointwise(self) -> bool:
        return True

    @property
    def observes(self) -> Demand:
        return Demand.DIAGONAL

    def observe(self, cov: Array, site: Site) -> Array:
        """The variances, (P,) or ()."""
        return site.variance(cov)

    def pair(self, block: Block, site: Site) -> Block:
        p, q = site.broadcast(site.left.seen, site.right.seen)

        def kernels() -> Block:
            value, slope = self.dual(site.numbers, p, q, block.nngp, site.coincide())
            return block._replace(nngp=value, ntk=None if block.ntk is None else slope * block.ntk)

        # XLA would compute it again in each loop that reads it, a sum over positions for one. Full
        # blocks are read by products and windows, which write them to memory as it is.
        return kernels() if site.wanted_in is Demand.FULL else materialised(kernels)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        """E[f(u) f(v)] and E[f'(u) f'(v)].

        Args:
            numbers: the layer's numbers.
            p: variances of u, broadcastable to c.
            q: variances of v, broadcastable to c.
            c: covariances.
            coincide: where u and v are one variable, so that c = p = q up to rounding.
        """
        raise self._undefined("dual")

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        return self.function(numbers, x)

    def function(self, numbers: Numbers, x: Array) -> Array:
        """The function f itself, entry by entry.

        Args:
            numbers: the layer's numbers.
            x: any array.
        """
        raise self._undefined("function")
