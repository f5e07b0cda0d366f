"""Fast-weight layers: a matrix that every step writes to and reads from, additively or by the delta rule.

Schlag, Irie & Schmidhuber, "Linear Transformers Are Secretly Fast Weight Programmers", arXiv
2102.11174. With features f_t = phi(k_t) of keys and g_t = phi(q_t) of queries (all >= 0), W_0 = 0, z_0 = 0:

    additive    W_t = W_(t-1) + v_t f_t^T                                 causal linear attention
    delta       W_t = W_(t-1) + beta_t (v_t - W_(t-1) f_t / (z_(t-1) . f_t)) f_t^T
    both        z_t = z_(t-1) + f_t,   y_t = W_t g_t / (z_t . g_t)

The divisions by z are attention normalisation (section 4 of the paper), and are
left out with `attention=False`. For the delta rule the paper prefers features that sum to 1 (section
4.2) without it, `sum_normalised`; `unit_normalised` is Yang et al.'s, arXiv 2406.06484, under which each
step contracts for 0 <= beta <= 2.

Each layer stands here twice: step by step, in O(T m d_v) with one matrix of memory, and in parallel
over the steps. W_t = sum_(s<=t) w_s f_s^T with w_s = v_s for the additive rule; for the delta rule
(I + B D^-1 stril(F F^T)) w = B v, a triangular system, D = diag(z_(t-1) . f_t) or I, B = diag(beta). Then
y = D'^-1 tril(G F^T) w. A test holds the two against each other.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular


def sum_normalised(features: Array) -> Array:
    """Features divided by their sum, (..., m); zero features stay zero."""
    return divided(features, features.sum(-1, keepdims=True))


def unit_normalised(features: Array) -> Array:
    """Features divided by their Euclidean norm, (..., m); zero features stay zero."""
    squares = (features**2).sum(-1, keepdims=True)
    # The root's derivative at zero is infinite, and 0 * inf is not a number.
    return divided(features, jnp.sqrt(jnp.where(squares > 0, squares, 1)) * (squares > 0))


def additive_steps(queries: Array, keys: Array, values: Array, attention: bool = True) -> Array:
    """The additive rule step by step.

    Args:
        queries: (T, m), features of queries.
        keys: (T, m), features of keys.
        values: (T, d_v).
        attention: whether to normalise by z.

    Returns:
        (T, d_v).
    """

    def step(
        state: tuple[Array, Array], token: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array], Array]:
        w, z = state
        query, key, value = token
        w, z = w + value[:, None] * key[None, :], z + key
        return (w, z), _read(w, z, query, attention)

    _, y = lax.scan(step, _empty(keys, values), (queries, keys, values))
    return y


def delta_steps(
    queries: Array, keys: Array, values: Array, beta: Array, attention: bool = False
) -> Array:
    """The delta rule step by step; `beta` is (T,), the rest as in `additive_steps`."""

    def step(
        state: tuple[Array, Array], token: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array], Array]:
        w, z = state
        query, key, value, rate = token
        change = rate * (value - _read(w, z, key, attention))
        w, z = w + change[:, None] * key[None, :], z + key
        return (w, z), _read(w, z, query, attention)

    _, y = lax.scan(step, _empty(keys, values), (queries, keys, values, beta))
    return y


def additive_parallel(queries: Array, keys: Array, values: Array, attention: bool = True) -> Array:
    """`additive_steps` by products of all steps at once."""
    return _read_all(queries, keys, values, attention)


def delta_parallel(
    queries: Array, keys: Array, values: Array, beta: Array, attention: bool = False
) -> Array:
    """`delta_steps` by one triangular solve."""
    return _read_all(queries, keys, delta_writes(keys, values, beta, attention), attention)


def delta_writes(keys: Array, values: Array, beta: Array, attention: bool = False) -> Array:
    """What the delta rule writes at each step, w with W_t = sum_(s<=t) w_s f_s^T, (T, d_v).

    Args:
        keys: (T, m), features.
        values: (T, d_v).
        beta: (T,).
        attention: whether reads before a write are normalised by z.
    """
    products = jnp.tril(jnp.matmul(keys, keys.T), -1)
    if attention:
        products = divided(products, products.sum(1, keepdims=True))
    rates = beta[:, None]
    system = jnp.eye(len(keys), dtype=products.dtype) + rates * products
    return solve_triangular(system, rates * values, lower=True, unit_diagonal=True)


def _read_all(queries: Array, keys: Array, writes: Array, attention: bool) -> Array:
    seen = jnp.tril(jnp.matmul(queries, keys.T))
    if attention:
        seen = divided(seen, seen.sum(1, keepdims=True))
    return jnp.matmul(seen, writes)


def _empty(keys: Array, values: Array) -> tuple[Array, Array]:
    return jnp.zeros((values.shape[1], keys.shape[1]), values.dtype), jnp.zeros_like(keys[0])


def _read(w: Array, z: Array, query: Array, attention: bool) -> Array:
    y = jnp.matmul(w, query)
    return divided(y, jnp.dot(z, query)) if attention else y


def divided(x: Array, by: Array) -> Array:
    """x / by; 0 where `by` is, as nothing has been written there or the features are all zero."""
    return jnp.where(by == 0, jnp.zeros((), x.dtype), x / jnp.where(by == 0, 1, by))
