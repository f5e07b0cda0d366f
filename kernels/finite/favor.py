"""FAVOR+: attention by random features of the exponential.

Choromanski et al., "Rethinking Attention with Performers", arXiv 2009.14794. For rows w of the
projections, standard normal each,

    positive        exp(w.x - |x|^2 / 2) / sqrt(m)
    hyperbolic      exp(+-w.x - |x|^2 / 2) / sqrt(2 m), both signs of each w: 2 m features
    trigonometric   exp(|x|^2 / 2) (cos w.x, sin w.x) / sqrt(m): 2 m features

E phi(q) . phi(k) = exp(q . k) for each. The softmax of q . k / sqrt(d) takes queries and keys divided by
d^(1/4). Orthogonal projections are unbiased as well, since every row alone is still standard normal, and
have a smaller variance. Trigonometric features estimate a small exp(q . k) as a difference of large
terms; their row sums can come out near zero or negative, where the others cannot (section 2).
"""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from kernels.finite.fast_weights import additive_steps, divided

Variant = Literal["positive", "hyperbolic", "trigonometric"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


def projections(
    key: Array, count: int, channels: int, orthogonal: bool = True, dtype: str = "float32"
) -> Array:
    """Rows w, (count, channels), standard normal each.

    Args:
        key: of the generator.
        count: m.
        channels: d.
        orthogonal: rows at right angles in groups of `channels`, with norms drawn for each: those
            of standard normal vectors. Else all are independent.
        dtype: of the result.
    """
    if not orthogonal:
        return jax.random.normal(key, (count, channels), dtype)
    of_angles, of_norms = jax.random.split(key)
    groups = -(-count // channels)
    q, r = jnp.linalg.qr(jax.random.normal(of_angles, (groups, channels, channels), dtype))
    # The signs that make the triangle's diagonal positive make q uniform over rotations.
    signs = jnp.where(jnp.diagonal(r, axis1=1, axis2=2) < 0, -1, 1).astype(dtype)
    rows = (q * signs[:, None, :]).transpose(0, 2, 1).reshape(-1, channels)[:count]
    norms = jnp.linalg.norm(jax.random.normal(of_norms, (count, channels), dtype), axis=1)
    return rows * norms[:, None]


def random_features(x: Array, w: Array, variant: Variant) -> tuple[Array, Array]:
    """Features of rows x and the logarithm of what each row was divided by, so that none overflows.

    Args:
        x: (T, d).
        w: (m, d), `projections`.
        variant: which features.

    Returns:
        (T, m) or (T, 2 m), and (T,): phi(x_i) = features[i] exp(scale[i]).
    """
    along = jnp.matmul(x, w.T)
    half = (x**2).sum(1) / 2
    if variant == "trigonometric":
        waves = jnp.concatenate([jnp.cos(along), jnp.sin(along)], axis=1)
        return waves / len(w) ** 0.5, half
    if variant == "hyperbolic":
        along = jnp.concatenate([along, -along], axis=1)
    peak = jax.lax.stop_gradient(along.max(1))
    return jnp.exp(along - peak[:, None]) / along.shape[1] ** 0.5, peak - half


def favor_attention(
    queries: Array, keys: Array, values: Array, w: Array, variant: Variant, causal: bool = False
) -> Array:
    """An estimate of softmax(q k^T / sqrt(d)) v, in O(T m d_v) and no (T, T) matrix.

    Args:
        queries: (T, d).
        keys: (S, d).
        values: (S, d_v).
        w: (m, d), `projections`.
        variant: which features.
        causal: position i sees j <= i only, by prefix sums; S is then T.

    Returns:
        (T, d_v). Zero for a query whose every product with a key underflows, as products of features
        do when logits differ by more than about 80 in float32: too sharp for random features.
    """
    read, written = _scaled_features(queries, keys, w, variant)
    if causal:
        return additive_steps(read, written, values)
    total = jnp.matmul(read, written.sum(0))
    return divided(jnp.matmul(read, jnp.matmul(written.T, values)), total[:, None])


def favor_mixing(
    queries: Array, keys: Array, w: Array, variant: Variant, visible: Array | None = None
) -> Array:
    """The attention weights that random features give, as a matrix (T, S), which `favor_attention` never
    makes.

    Args:
        queries: (T, d).
        keys: (S, d).
        w: (m, d).
        variant: which features.
        visible: (T, S) bool, which keys each query sees; None if all.
    """
    read, written = _scaled_features(queries, keys, w, variant)
    weights = jnp.matmul(read, written.T)
    weights = weights if visible is None else jnp.where(visible, weights, 0)
    return divided(weights, weights.sum(1, keepdims=True))


def _scaled_features(
    queries: Array, keys: Array, w: Array, variant: Variant
) -> tuple[Array, Array]:
    """Features up to a factor for each query and one for all keys, which cancel in the weights."""
    shrink = queries.shape[1] ** -0.25
    read, _ = random_features(queries * shrink, w, variant)
    written, scale = random_features(keys * shrink, w, variant)
    scale = scale - jax.lax.stop_gradient(scale.max())
    return read, written * jnp.exp(scale)[:, None]
