"""Weights that a layer uses once, as a linear map of activations.

For y_p = W x_p the gradient of one output is dL/dW = sum_p g_p x_p^T, with g the gradient along y, so
that the ntk needs sum_pq (x_p . x'_q)(g_p . g'_q) of a pair of inputs and never a Jacobian, which
is as large as W. To that end `Noted` stands in for a map: it keeps what the map acted on, and adds
a zero to what came out, whose gradient is g.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array


@partial(jax.tree_util.register_dataclass, data_fields=["weights"], meta_fields=[])
@dataclass(frozen=True)
class LinearMap:
    """An array of weights, to be used once.

    Attributes:
        weights: of any shape.
    """

    weights: Array

    def __call__(self, equation: str, x: Array) -> Array:
        """einsum(equation, x, weights).

        The axis p of x and of the result counts positions; it is the only one they share, and
        all others of x are summed with weights, so that W is one matrix.
        """
        return jnp.einsum(equation, x, self.weights)


class Noted:
    """Stands in for a map while one input passes, and notes what it did.

    Attributes:
        x: what it acted on, (P, inputs); None before.
        y: shape and dtype of what came out; None before.
        axes: the axes of that, letters of the equation.
    """

    def __init__(self, weights: Array, tap: Array | None) -> None:
        """A map of these weights, with an array of zeros to add, or None to learn its shape."""
        self._weights = weights
        self._tap = tap
        self.x: Array | None = None
        self.y: jax.ShapeDtypeStruct | None = None
        self.axes = ""

    def __call__(self, equation: str, x: Array) -> Array:
        if self.x is not None:
            raise RuntimeError("a linear map was used twice; the ntk of one use would be wrong")
        y = jnp.einsum(equation, x, self._weights)
        self.y, self.axes = jax.ShapeDtypeStruct(y.shape, y.dtype), equation.partition("->")[2]
        self.x = by_position(x, equation.partition(",")[0])
        return y if self._tap is None else y + self._tap


def by_position(x: Array, axes: str) -> Array:
    """Positions first, all other axes as one: (P, entries)."""
    at = axes.index("p")
    return jnp.moveaxis(x, at, 0).reshape(x.shape[at], -1)
