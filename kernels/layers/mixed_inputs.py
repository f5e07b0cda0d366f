"""Attention directly over raw inputs, moved into them.

Raw inputs have a kernel of low rank, K = X X'^T / channels, so that A K A'^T is the kernel of the
inputs A X: (A X) (A' X')^T / channels. Each input is mixed once, at T^2 channels operations, and no
pair of inputs is multiplied by A at all, which takes 4 T^3 of each.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.demand import additive_span
from kernels.layers.attention import Attention
from kernels.layers.layer import Layer, LinearAtEachPosition
from kernels.method import Additive, Method, MonteCarlo

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site


class MixedInputs(LinearAtEachPosition):
    """What an attention does to a pair of inputs that were mixed already; no layer of a document.

    Attributes:
        attention: the layer that it stands for.
    """

    type: Literal["mixed_inputs"] = "mixed_inputs"
    attention: Attention

    equation: ClassVar[str] = (
        "K' = ov_std^2 K + b_std^2, Theta' = ov_std^2 (Theta + 2 K) + b_std^2, of inputs A x"
    )
    source: ClassVar[str] = Attention.source

    def mixed(self, x: Array, site: Site) -> Array:
        """A x, (P, channels), of one raw input.

        Args:
            x: (P, channels).
            site: the one input's own site, with this layer's numbers.
        """
        from jax.numpy import matmul

        cov = matmul(x, x.T) / x.shape[-1]
        return self.attention.observe(cov, _of_attention(site)).rows(x)

    def pair(self, block: Block, site: Site) -> Block:
        return self.attention.unmixed(block, _of_attention(site))


def _of_attention(site: Site) -> Site:
    return replace(site, numbers=site.numbers["attention"])


def with_mixed_inputs(layers: tuple[Layer, ...], method: Method) -> tuple[Layer, ...]:
    """The canonical layers as the engine computes them: an attention over raw inputs goes into these.

    Not one that approximates, whose error is told pair by pair, nor the one that the additive method
    evaluates, which does without products anyway.
    """
    span = additive_span(layers) if isinstance(method, Additive) else None
    stays = isinstance(method, MonteCarlo) or (span is not None and span.attention == 0)
    return layers if stays else _moved(layers)


@lru_cache(64)
def _moved(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    first = layers[0] if layers else None
    if not isinstance(first, Attention) or not first.separable or first.values_have_places:
        return layers
    # Heads are drawn from the kernels of the layers below them.
    if first.how_exact != "exact" or any(layer.contains_estimate() for layer in layers):
        return layers
    return (MixedInputs(attention=first), *layers[1:])
