"""Means over heads with random logits: the kernels of one pair of inputs.

Per head, with weights Z = A(x), Z' = A(x') and <M, N> = sum_ij M_ij N_ij,

    nngp = Z K Z'^T
    ntk  = Z (Theta + 2 K) Z'^T + qk^2 [(2 K~ + Theta~) . <M, K~> + K~ . <M, Theta~>]
    M_ab = J_a K J'_b,  J_a[i, j] = P_ai (1[i = j] - Q_aj)

    <M, N>_ab = P (K.N) P'^T - P ((K Q'^T).(N P'^T)) - ((Q K).(P N)) P'^T + (Q K Q'^T).(P N P'^T)

where `.` multiplies entries. The terms of the ntk: values and outputs; queries and keys, and what
lies below through the queries; what lies below through the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kernels.mechanisms.head import Head


class Covariances(NamedTuple):
    """What heads act on, each (T, T') of one pair of inputs.

    Attributes:
        values: K, the nngp that values see.
        logits: K~, the nngp that queries and keys see.
        values_ntk: Theta, of the values; None when only the nngp is wanted.
        logits_ntk: Theta~, of queries and keys.
    """

    values: Array
    logits: Array
    values_ntk: Array | None
    logits_ntk: Array | None


def nngp_of_head(left: Head, right: Head, k: Covariances, diagonal: bool) -> Array:
    """Z K Z'^T, (T, T'), or its diagonal."""
    return _gathered(jnp.matmul(left.weights, k.values), right.weights, diagonal)


def pooled_nngp_of_head(
    left: Head, right: Head, k: Covariances, readout1: Array, readout2: Array
) -> Array:
    """p^T Z K Z'^T p', (): two vectors instead of two matrices on the way."""
    u = jnp.matmul(readout1, left.weights)
    return jnp.dot(jnp.matmul(u, k.values), jnp.matmul(readout2, right.weights))


def kernels_of_head(
    left: Head, right: Head, k: Covariances, qk_std: Array, diagonal: bool
) -> tuple[Array, Array]:
    """nngp and ntk of one head, (T, T') each, or their diagonals."""
    assert k.values_ntk is not None and k.logits_ntk is not None
    value = jnp.matmul(left.weights, k.values)
    nngp = _gathered(value, right.weights, diagonal)
    values_ntk = _gathered(jnp.matmul(left.weights, k.values_ntk), right.weights, diagonal)
    weights_of_logits = _through_logits(left, right, k.values, k.logits, diagonal)
    below_logits = _through_logits(left, right, k.values, k.logits_ntk, diagonal)
    k1, k2 = k.logits, k.logits_ntk
    if diagonal:
        k1, k2 = jnp.diagonal(k1), jnp.diagonal(k2)
    logits = (2 * k1 + k2) * weights_of_logits + k1 * below_logits
    return nngp, values_ntk + 2 * nngp + qk_std**2 * logits


def _through_logits(left: Head, right: Head, k: Array, n: Array, diagonal: bool) -> Array:
    """<M_ab, N> for all queries a and b, or for a = b."""
    p1, p2, q1, q2 = left.slope, right.slope, left.mean, right.mean
    both = jnp.matmul(p1, k * n)
    if q1 is None or q2 is None:
        return _gathered(both, p2, diagonal)
    q1_k, p1_n = jnp.matmul(q1, k), jnp.matmul(p1, n)
    right_part = jnp.matmul(k, q2.T) * jnp.matmul(n, p2.T)
    of_keys = (p1 * right_part.T).sum(1) if diagonal else jnp.matmul(p1, right_part)
    centred = _gathered(q1_k, q2, diagonal) * _gathered(p1_n, p2, diagonal)
    return _gathered(both - q1_k * p1_n, p2, diagonal) - of_keys + centred


def _gathered(k: Array, weights: Array, diagonal: bool) -> Array:
    """k W'^T, (T, T'), or its diagonal."""
    return (k * weights).sum(1) if diagonal else jnp.matmul(k, weights.T)


def group_means(
    of_head: Callable[[Array, Array], Any], left: Array, right: Array, heads: int, groups: int
) -> Any:
    """The means over each group of heads, every leaf (groups, ...).

    One head at a time, so that all it needs stays in cache.

    Args:
        of_head: from both inputs' weights of one head to a tree of arrays.
        left: what x keeps of its heads, (samples, T, T).
        right: the same of x'.
        heads: consecutive heads that are not independent and stay in one group.
        groups: how many.
    """
    starts = heads * group_starts(len(left) // heads, groups)

    def head(s: Array, total: Any) -> Any:
        one, two = (lax.dynamic_index_in_dim(side, s, keepdims=False) for side in (left, right))
        return jax.tree.map(jnp.add, total, of_head(one, two))

    def group(bounds: Array) -> Any:
        shapes = jax.eval_shape(of_head, left[0], right[0])
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total = lax.fori_loop(bounds[0], bounds[1], head, zeros)
        return jax.tree.map(lambda leaf: leaf / (bounds[1] - bounds[0]), total)

    return lax.map(group, jnp.stack([starts[:-1], starts[1:]], axis=1))


def group_starts(units: int, groups: int) -> np.ndarray[Any, Any]:
    """The first unit of every group, and the number of units; sizes differ by one at most."""
    return np.arange(groups + 1) * units // groups


def mean_of_groups(means: Array, included: Array, units: int) -> Array:
    """The mean over the heads of the groups that are included, (groups,) bool."""
    groups = len(means)
    sizes = np.diff(group_starts(units, groups))
    share = jnp.where(included, jnp.asarray(sizes, means.dtype), 0)
    return jnp.tensordot(share / share.sum(), means, axes=1)
