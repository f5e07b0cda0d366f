"""Softmax attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.mechanisms.head import Head
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class Softmax(Mechanism):
    """A_ij = exp(G_ij) / sum_l exp(G_il) over visible keys."""

    type: Literal["softmax"] = "softmax"

    equation: ClassVar[str] = "A_ij = exp(G_ij) / sum_l exp(G_il)"
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540"
    random_logits: ClassVar[bool] = True

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        return Mixing(softmax_rows(logits, visible))

    def kept(self, logits: Array, visible: Array | None) -> Array:
        return softmax_rows(logits, visible)

    def head(self, kept: Array) -> Head:
        return Head(kept, kept, kept)


def softmax_rows(logits: Array, visible: Array | None) -> Array:
    """exp(G_ij) / sum_l exp(G_il) over visible keys, (T, T); zero for a row that sees nothing."""
    import jax.numpy as jnp

    if visible is None:
        weights = jnp.exp(_below_peak(_below_peak(logits, None), None))
        return weights / weights.sum(1, keepdims=True)
    below = _below_peak(_below_peak(logits, visible), visible)
    # Not a minimum, whose derivative where both are equal, at the peak, is a half.
    weights = jnp.where(visible, jnp.exp(jnp.where(below > 0, 0, below)), 0)
    total = weights.sum(1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)


def _below_peak(logits: Array, visible: Array | None) -> Array:
    """Logits minus the largest visible one of their row.

    Once is not enough: XLA multiplies qk_std in again here, in one rounding with the subtraction,
    and at logits of 1e10 the largest difference is then not 0 but in the hundreds.

    The weights do not depend on what is subtracted, so finite networks need no derivative of it;
    JAX's would look for the logit equal to the peak, which that same rounding hides in compiled
    code (measured: derivatives 10 % off).
    """
    import jax.numpy as jnp
    from jax.lax import stop_gradient

    if visible is None:
        return logits - stop_gradient(logits.max(1, keepdims=True))
    # The least finite number, not -inf: a row that sees nothing must not become inf - inf.
    lowest = jnp.finfo(logits.dtype).min
    peak = jnp.where(visible, logits, lowest).max(1, keepdims=True)
    return logits - stop_gradient(peak)
