"""All weights of a network from one key."""

from __future__ import annotations

from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kernels.finite.linear_map import LinearMap

_BLOCK: Final = 128
"""Normals drawn from one key; a bias of a narrow layer wastes most of a block."""

_TOGETHER: Final = 2**12
"""Blocks drawn at once, 2 MiB of float32: the generator holds several times what it draws."""


def draw(weights: Any, key: Array) -> Any:
    """Standard normal arrays for a tree of `Normal`.

    Array i is cut into blocks and block j drawn from (key, i, j), so that a longer first axis
    continues a shorter one. All blocks are one loop: JAX compiles each call to its generator
    anew, 0.3 s for every array of weights otherwise.

    Args:
        weights: a tree of `Normal`.
        key: of this network.
    """
    leaves, tree = jax.tree.flatten(weights)
    if not leaves:
        return weights
    counts = [-(-leaf.size // _BLOCK) for leaf in leaves]
    arrays = np.repeat(np.arange(len(leaves)), counts)
    blocks = np.concatenate([np.arange(count) for count in counts])

    def block(array: Array, number: Array) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(key, array), number)
        return jax.random.normal(own, (_BLOCK,))

    together = min(len(arrays), _TOGETHER)
    # Filled up, since what is left over would be a call of its own.
    filling = (0, -len(arrays) % together)
    names = (jnp.asarray(np.pad(of, filling).reshape(-1, together)) for of in (arrays, blocks))
    drawn = lax.map(lambda of: jax.vmap(block)(*of), tuple(names)).reshape(-1, _BLOCK)
    # The barrier keeps XLA from drawing anew for each array that is cut out.
    drawn = lax.optimization_barrier(drawn)
    starts = np.cumsum([0, *counts])
    made: list[Array | LinearMap] = []
    for leaf, start, count in zip(leaves, starts, counts, strict=False):
        array = drawn[start : start + count].reshape(-1)[: leaf.size].reshape(leaf.shape)
        made.append(LinearMap(array) if leaf.linear else array)
    return jax.tree.unflatten(tree, made)
