"""Sparsemax attention: each row of logits projected on the simplex."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.mechanisms.head import Head
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.mechanisms.softmax import below_peak
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class Sparsemax(Mechanism):
    """The Euclidean projection of each row on the simplex over visible keys."""

    type: Literal["sparsemax"] = "sparsemax"

    equation: ClassVar[str] = "A_ij = max(G_ij - tau_i, 0), tau_i such that the row sums to 1"
    source: ClassVar[str] = "Martins & Astudillo, arXiv 1602.02068"

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        return Mixing(sparsemax_rows(logits, visible))

    def head_state(self, logits: Array, visible: Array | None) -> Array:
        return sparsemax_rows(logits, visible)

    def head(self, state: Array) -> Head:
        import jax.numpy as jnp

        support = (state > 0).astype(state.dtype)
        return Head(state, support, support / jnp.maximum(support.sum(1, keepdims=True), 1))


def sparsemax_rows(logits: Array, visible: Array | None) -> Array:
    """max(G_ij - tau_i, 0) over visible keys, (T, T); zero for a row that sees nothing.

    A row's threshold is at most 1 below its peak, so every logit is moved into [-1, 0] first:
    keys that are not seen go to -1, where the weight is zero exactly, and no infinity is needed.
    Sorting finds the support, O(T log T) a row; the threshold is then taken from the logits of the
    support once more, which rounds less than the sorted running sums and gives derivatives
    without one of a sort.
    """
    import jax.numpy as jnp
    from jax.lax import stop_gradient

    below = below_peak(below_peak(logits, visible), visible)
    if visible is not None:
        below = jnp.where(visible, below, -1)
    # Not a maximum, whose derivative where both are equal is a half.
    z = jnp.where(below > 0, 0, jnp.where(below < -1, -1, below))
    threshold = _threshold(stop_gradient(z))
    support = ~(z <= threshold)  # a row with a NaN stays one
    if visible is not None:
        support = support & visible
    size = support.sum(1, keepdims=True)
    total = jnp.where(support, z, 0).sum(1, keepdims=True)
    tau = (total - 1) / jnp.maximum(size, 1)
    return jnp.where(support, jnp.maximum(z - tau, 0), 0)


def _threshold(z: Array) -> Array:
    """tau of each row by its sorted entries, (T, 1), from (T, T), all in [-1, 0]."""
    import jax.numpy as jnp

    falling = -_sorted(0 - z)
    sums = falling.cumsum(1)
    count = jnp.arange(1, z.shape[1] + 1, dtype=z.dtype)[None, :]
    inside = 1 + count * falling > sums
    size = inside.sum(1, keepdims=True)
    return (jnp.take_along_axis(sums, size - 1, 1) - 1) / size.astype(z.dtype)


def _sorted(rows: Array) -> Array:
    """Rows of numbers that are not negative, rising.

    Their bits have the order of whole numbers, which XLA sorts in a fifth of the time on a CPU:
    its order of floats has to place NaN and -0 (512 x 512 in float32: 5 ms for 26).
    """
    import jax.numpy as jnp
    from jax.lax import bitcast_convert_type

    whole = jnp.int64 if rows.dtype == jnp.float64 else jnp.int32
    bits = bitcast_convert_type(rows, whole)
    return bitcast_convert_type(jnp.sort(bits, axis=1), rows.dtype)
