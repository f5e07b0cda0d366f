"""What one input keeps of the heads of an estimated layer."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from kernels.estimate.draws import private_draws
from kernels.layers.attention import Attention


class Private(NamedTuple):
    """What an input has for itself (kernels/engine/landmarks.py).

    Attributes:
        factor: C of K~(x, x) = L L^T + C C^T, (P, P).
        name: (4,) uint32, what its random numbers are drawn from.
    """

    factor: Array
    name: Array


def heads_of_input(
    layer: Attention,
    factor: Array,
    private: Private | None,
    mask: Array | None,
    shared: Array,
    key: Array,
    qk_std: Array,
) -> Array:
    """The states of all heads of one input (`Mechanism.head_state`), (samples, P, P); both of a pair one
    after the other.

    Args:
        layer: the attention layer, its numbers taken out.
        factor: L, (P, rank), zero at masked positions.
        private: its own part, if it has one.
        mask: real positions, (P,), or None.
        shared: Z of every unit, (units, rank, rank).
        key: of the private part's numbers.
        qk_std: the standard deviation of queries times keys.
    """
    assert layer.estimator is not None
    size, rank = factor.shape
    visible = layer.visible(mask, size)
    if visible is not None and mask is not None:
        visible = visible & mask[:, None]
    signs = (1, -1) if layer.estimator.antithetic else (1,)

    def unit(drawn: tuple[Array, Array]) -> Array:
        z, u = drawn[0].astype(factor.dtype), drawn[1]
        rows = jnp.matmul(factor, z)
        logits = jnp.matmul(rows, factor.T)
        if private is not None:
            draws = private_draws(key, private.name, u, rank, size)
            right, below, corner = (part.astype(factor.dtype) for part in draws)
            own = private.factor
            rows = jnp.matmul(factor, right) + jnp.matmul(own, corner)
            logits += jnp.matmul(rows, own.T)
            logits += jnp.matmul(jnp.matmul(own, below), factor.T)
        logits = qk_std * logits
        return jnp.stack([layer.mechanism.head_state(sign * logits, visible) for sign in signs])

    weights = lax.map(unit, (shared, jnp.arange(len(shared))))
    return weights.reshape(-1, *weights.shape[2:])
