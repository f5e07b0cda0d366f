"""The exponential and the Gaussian bump."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.correlation import root_determinant
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Number, Numbers

if TYPE_CHECKING:
    from jax import Array


class Exp(Activation):
    """a exp(b x)."""

    type: Literal["exp"] = "exp"
    a: Number = 1.0
    b: Number = 1.0

    equation: ClassVar[str] = "K' = a^2 exp(b^2 (p + q + 2 K) / 2); Theta' = b^2 K' Theta"
    source: ClassVar[str] = "Mairal et al., NeurIPS 2014; the moment generating function"

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return numbers["a"] * jnp.exp(numbers["b"] * x)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        squared = numbers["b"] ** 2
        value = numbers["a"] ** 2 * jnp.exp(squared * (p + q + 2 * c) / 2)
        return value, squared * value


class Gaussian(Activation):
    """a exp(b x^2); for b > 0 its square has a mean only while variances stay below 1 / (4 b)."""

    type: Literal["gaussian"] = "gaussian"
    a: Number = 1.0
    b: Number = -1.0

    equation: ClassVar[str] = (
        "D = (1 - 2 b p)(1 - 2 b q) - 4 b^2 K^2; K' = a^2 / sqrt(D); "
        "Theta' = 4 a^2 b^2 K / D^(3/2) Theta"
    )
    source: ClassVar[str] = "Williams, NeurIPS 1996, 'Computing with infinite networks'"
    not_finite: ClassVar[str] = (
        "with b > 0 its square has a mean only while the variances below it are less than "
        "1 / (4 b): use smaller inputs or stds or a smaller b, or layer_norm and b below 1 / 4; with "
        "b < 0 it leaves the range of the dtype: use smaller inputs or stds"
    )

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return numbers["a"] * jnp.exp(numbers["b"] * x * x)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        twice = 2 * numbers["b"]
        edges = 1 - twice * (p + q)
        rest = jnp.abs(twice) * root_determinant(p, q, c, coincide)
        # hypot for b < 0, because D leaves the range of float32 long before p and q do. For b > 0
        # D is below 1 and may be positive where no unit has a finite variance: E f(u)^2 is there
        # while 4 b p < 1. A cross kernel of units without one would be a number of no network.
        root = jnp.where(
            twice < 0, jnp.hypot(jnp.sqrt(jnp.abs(edges)), rest), jnp.sqrt(edges + rest * rest)
        )
        inside = (2 * twice * p < 1) & (2 * twice * q < 1) & (root < jnp.inf)
        value = numbers["a"] ** 2 / jnp.where(inside, root, jnp.nan)
        return value, (twice / root) * (twice * c / root) * value
