"""Dropout, as in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from kernels.demand import Demand
from kernels.layers.layer import Layer
from kernels.spec.model import Number
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from kernels.engine.block import Block, Site


class Dropout(Layer):
    """Keeps a unit with probability `rate` and divides it by `rate`.

    The units of two inputs are dropped independently, so only an input's position with itself
    is scaled: its own variances always, and the entries of X against X on their diagonal.
    """

    type: Literal["dropout"] = "dropout"
    rate: Annotated[Number, Field(gt=0, le=1)]

    equation: ClassVar[str] = (
        "K'[p, p](x, x) = K[p, p](x, x) / rate, Theta' likewise; all other entries unchanged"
    )
    source: ClassVar[str] = "Srivastava et al., JMLR 2014; Novak et al., arXiv 1912.02803"

    def forward(self, signal: Signal) -> Signal:
        return signal.with_(gaussian=False)

    def demand(self, wanted: Demand) -> Demand:
        return Demand.FULL if wanted is Demand.READOUT else wanted

    def pair(self, block: Block, site: Site) -> Block:
        import jax.numpy as jnp

        if not site.identical:
            return block
        met = site.coincide()
        return block.map(lambda k: jnp.where(met, k / site.numbers["rate"], k))
