"""The random numbers of heads: the same for every input, tile and dtype.

Logits are G(x) = qk_std L_x Z L_x^T with a factor L_x L_x'^T = K~(x, x') of the covariance that
queries and keys see, and Z of independent standard normals. All inputs share Z, so that an
estimate over any inputs is positive semidefinite and its tiles fit together. Where an input's own
covariance has a part C_x C_x^T that no other shares, G(x) = qk_std [L C] Z_x [L C]^T, and the
further rows and columns of Z_x are the input's alone.

All are float32, in jobs of float64 too, so that both average over the same heads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_BLOCK: Final = 64
"""Normals drawn from one key."""

_PRIVATE: Final = 2**31
"""Sets the keys of an input's own numbers apart from those of units, which are counted from 0."""


def key_of(seed: int, number: int) -> Array:
    """The key of an estimator's seed and the number of its layer among the estimated ones."""
    return jax.random.fold_in(jax.random.key(np.uint32(seed)), np.uint32(number))


def shared_draws(key: Array, units: int, rank: int) -> Array:
    """Z of every unit, (units, rank, rank), float32.

    Entry (u, i, j) depends on (key, u, i, j) alone: factors that have more columns, as longer
    inputs with positions do, share the numbers of those that have fewer.

    Args:
        key: see `key_of`.
        units: independent heads.
        rank: columns of the factors.
    """
    return _shared(units, rank)(key)


@lru_cache(maxsize=32)
def _shared(units: int, rank: int) -> Callable[[Array], Array]:
    def unit(key: Array, u: Array) -> Array:
        return _rows(jax.random.fold_in(key, u), rank, rank)

    return jax.jit(lambda key: jax.vmap(unit, in_axes=(None, 0))(key, jnp.arange(units)))


def private_draws(key: Array, name: Array, u: Array, rank: int, size: int) -> tuple[Array, ...]:
    """What Z_x has beside Z: (rank, P), (P, rank) and (P, P), float32.

    Position p has the same numbers however many follow it.

    Args:
        key: see `key_of`.
        name: the input's, see kernels/estimate/names.py.
        u: the unit.
        rank: columns of the factors.
        size: positions P of the input.
    """
    own = jax.random.fold_in(jax.random.fold_in(key, _PRIVATE), u)
    for word in name:
        own = jax.random.fold_in(own, word)
    drawn = _rows(own, size, 2 * rank + size)
    return drawn[:, :rank].T, drawn[:, rank : 2 * rank], drawn[:, 2 * rank :]


def _rows(key: Array, rows: int, columns: int) -> Array:
    def block(row: Array, number: Array) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(key, row), number)
        return jax.random.normal(own, (_BLOCK,), jnp.float32)

    numbers = jnp.arange(-(-columns // _BLOCK))
    drawn = jax.vmap(lambda row: jax.vmap(lambda n: block(row, n))(numbers))(jnp.arange(rows))
    return drawn.reshape(rows, -1)[:, :columns]
