"""Lower bounds of a function's Lipschitz constant: how much its Jacobian amplifies, and where most.

A Lipschitz constant is the supremum over inputs of an operator norm of the Jacobian; the norm at any
one input is a lower bound, and climbing it makes the bound better. Nothing here knows of the upper
bounds of `kernels.finite.lipschitz`, which it is meant to test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

NormName = Literal["two", "infinity"]


def jacobian_norm(function: Callable[[Array], Array], x: Array, norm: NormName) -> Array:
    """The operator norm of the Jacobian at x, a scalar; norms take all entries together.

    Args:
        function: arrays to arrays.
        x: any shape.
        norm: "two", the largest singular value, or "infinity", the largest row sum of absolutes.
    """
    jacobian = jax.jacrev(lambda flat: function(flat.reshape(x.shape)).reshape(-1))(x.reshape(-1))
    if norm == "infinity":
        return jnp.abs(jacobian).sum(1).max()
    return jnp.linalg.norm(jacobian, 2)


def climb(
    function: Callable[[Array], Array],
    x: Array,
    norm: NormName,
    steps: int,
    rate: float = 0.05,
) -> tuple[Array, Array]:
    """Gradient ascent (Adam) on `jacobian_norm`, from x.

    Args:
        function: as in `jacobian_norm`.
        x: where to start.
        norm: as in `jacobian_norm`.
        steps: of the ascent.
        rate: how far each goes; coordinates move by about this much a step.

    Returns:
        the largest norm met on the way, and where.
    """
    slope = jax.value_and_grad(lambda at: jacobian_norm(function, at, norm))

    def step(state: tuple[Array, ...], number: Array) -> tuple[tuple[Array, ...], None]:
        x, first, second, best, where = state
        value, gradient = slope(x)
        better = value > best
        best, where = jnp.where(better, value, best), jnp.where(better, x, where)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        moved = first / (1 - 0.9**number) / (jnp.sqrt(second / (1 - 0.99**number)) + 1e-12)
        return (x + rate * moved, first, second, best, where), None

    start = (x, jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros((), x.dtype), x)
    numbers = jnp.arange(1, steps + 1, dtype=x.dtype)
    (_, _, _, best, where), _ = lax.scan(step, start, numbers)
    return best, where
