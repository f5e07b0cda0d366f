"""L2 multi-head self-attention with tied queries and keys, and dot-product attention beside it.

Kim, Papamakarios & Mnih, "The Lipschitz Constant of Self-Attention", arXiv 2006.04710, section 3.2.
`kernels.finite.lipschitz` bounds its Lipschitz constant; dot-product attention has none (theorem
3.1). This is the paper's own layer, weights as they are trained; the mechanism "l2" of an
architecture is its infinitely wide limit without A_h.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kernels.mechanisms.softmax import softmax_rows


class AttentionWeights(NamedTuple):
    """Weights of an attention layer of H heads.

    Attributes:
        q: (H, D, d_k), queries and, tied to them, keys.
        v: (H, D, d_v).
        o: (H d_v, outputs).
    """

    q: Array
    v: Array
    o: Array


def draw_weights(
    key: Array, channels: int, heads: int, outputs: int | None = None, dtype: str = "float32"
) -> AttentionWeights:
    """Independent Gaussians of variance 1 / fan-in, d_k = d_v = D / H.

    Args:
        key: of the generator.
        channels: D, a multiple of `heads`.
        heads: H.
        outputs: columns of W_O; D if left out.
        dtype: of the weights.
    """
    size = channels // heads
    of_q, of_v, of_o = jax.random.split(key, 3)
    q = jax.random.normal(of_q, (heads, channels, size), dtype) / channels**0.5
    v = jax.random.normal(of_v, (heads, channels, size), dtype) / channels**0.5
    shape = (heads * size, outputs or channels)
    return AttentionWeights(q, v, jax.random.normal(of_o, shape, dtype) / shape[0] ** 0.5)


def l2_attention(weights: AttentionWeights, x: Array, visible: Array | None = None) -> Array:
    """concat_h[P^h X A_h W_V,h] W_O, P^h_ij = softmax_j(-|(x_i - x_j) W_Q,h|^2 / sqrt(d_k)).

    A_h = W_Q,h W_Q,h^T / sqrt(d_k).

    Args:
        weights: of the layer.
        x: (T, D).
        visible: (T, T) bool, which keys each query sees; None if all. A row that sees nothing is 0.

    Returns:
        (T, outputs).
    """

    def head(q: Array, v: Array) -> Array:
        projected = jnp.matmul(x, q)
        # Differences first: 2 y.y' - |y|^2 would lose what two far points differ by.
        apart = projected[:, None, :] - projected[None, :, :]
        logits = -(apart**2).sum(2) / q.shape[1] ** 0.5
        mixed = jnp.matmul(softmax_rows(logits, visible), projected)
        return jnp.matmul(mixed, jnp.matmul(q.T, v)) / q.shape[1] ** 0.5

    return _joined(jax.vmap(head)(weights.q, weights.v), weights.o)


def dot_product_attention(
    weights: AttentionWeights, x: Array, visible: Array | None = None
) -> Array:
    """concat_h[softmax(X W_Q,h (X W_Q,h)^T / sqrt(d_k)) X W_V,h] W_O; see `l2_attention`."""

    def head(q: Array, v: Array) -> Array:
        projected = jnp.matmul(x, q)
        logits = jnp.matmul(projected, projected.T) / q.shape[1] ** 0.5
        return jnp.matmul(softmax_rows(logits, visible), jnp.matmul(x, v))

    return _joined(jax.vmap(head)(weights.q, weights.v), weights.o)


def _joined(heads: Array, o: Array) -> Array:
    side_by_side = heads.transpose(1, 0, 2).reshape(heads.shape[1], -1)
    return jnp.matmul(side_by_side, o)


def causally(length: int) -> Array:
    """Which keys each query sees when position i attends to j <= i, (T, T) bool."""
    return jnp.tril(jnp.ones((length, length), bool))
