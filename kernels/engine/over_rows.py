"""A function of one input, over the inputs of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.layers.fusion import materialised
from kernels.plan.memory import SHORT


def row_of(rows: Any, at: Any) -> Any:
    """One row of every leaf of a tree, cut out once before anything reads it."""

    def cut() -> Any:
        return jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, at, keepdims=False), rows)

    return materialised(cut)


def over_rows(function: Callable[..., Any], positions: int, count: Array, *rows: Any) -> Any:
    """The function over leading axes: all at once for short inputs, else `count` of them in turn.

    Groups are filled up to a few compiled sizes, and what is computed of one long input alone may
    cost as much as many pairs.
    """
    if positions <= SHORT:
        return jax.vmap(function)(*rows)

    def body(at: Array, out: Any) -> Any:
        return jax.tree.map(
            lambda all_rows, one: lax.dynamic_update_index_in_dim(all_rows, one, at, 0),
            out,
            function(*row_of(rows, at)),
        )

    size = len(jax.tree.leaves(rows)[0])
    one = jax.eval_shape(lambda: function(*row_of(rows, 0)))
    empty = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), one)
    return lax.fori_loop(0, count, body, empty)
