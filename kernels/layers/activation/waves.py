"""Sine, cosine and random Fourier features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.layers.activation.activation import Activation
from kernels.spec.model import NonNegative, Number, Numbers

if TYPE_CHECKING:
    from jax import Array


def _means(p: Array, q: Array, c: Array, coincide: Array | bool) -> tuple[Array, Array]:
    """E[cos(u - v)] and E[cos(u + v)]: exp(-(p + q -+ 2 c) / 2), the first 1 where u is v.

    Both exponents are minus half a variance. Of nearly equal (or opposite) inputs it is all rounding,
    which may be of either sign, and large where p and q are: it must not make a mean above 1.
    """
    import jax.numpy as jnp

    of_difference = jnp.where(coincide, 0, jnp.maximum(p + q - 2 * c, 0))
    of_sum = jnp.maximum(p + q + 2 * c, 0)
    return jnp.exp(-of_difference / 2), jnp.exp(-of_sum / 2)


class _Wave(Activation):
    source: ClassVar[str] = "Rahimi & Recht, NeurIPS 2007; Pearce et al., arXiv 1905.06076"


class Sin(_Wave):
    """a sin(b x + c)."""

    type: Literal["sin"] = "sin"
    a: Number = 1.0
    b: Number = 1.0
    c: Number = 0.0

    equation: ClassVar[str] = (
        "E+- = exp(-b^2 (p + q +- 2 K) / 2); K' = a^2 (E- - cos(2 c) E+) / 2; "
        "Theta' = a^2 b^2 (E- + cos(2 c) E+) / 2 Theta"
    )

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return numbers["a"] * jnp.sin(numbers["b"] * x + numbers["c"])

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        value, slope = _cosines(numbers, p, q, c, coincide)
        return slope, numbers["b"] ** 2 * value


class Cos(_Wave):
    """a cos(b x + c)."""

    type: Literal["cos"] = "cos"
    a: Number = 1.0
    b: Number = 1.0
    c: Number = 0.0

    equation: ClassVar[str] = (
        "E+- = exp(-b^2 (p + q +- 2 K) / 2); K' = a^2 (E- + cos(2 c) E+) / 2; "
        "Theta' = a^2 b^2 (E- - cos(2 c) E+) / 2 Theta"
    )

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return numbers["a"] * jnp.cos(numbers["b"] * x + numbers["c"])

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        value, slope = _cosines(numbers, p, q, c, coincide)
        return value, numbers["b"] ** 2 * slope


def _cosines(
    numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
) -> tuple[Array, Array]:
    """a^2 E[cos cos] and a^2 E[sin sin] of b u + c and b v + c."""
    import jax.numpy as jnp

    scale = numbers["b"] ** 2
    of_difference, of_sum = _means(scale * p, scale * q, scale * c, coincide)
    # Their difference, 2 exp(-(p + q) / 2) sinh(c), without cancellation where variances are small.
    apart = -jnp.expm1(-2 * scale * jnp.abs(c))
    apart = jnp.where(c < 0, -of_sum, of_difference) * apart
    cos, sin = jnp.cos(numbers["c"]), jnp.sin(numbers["c"])
    half = numbers["a"] ** 2 / 2
    return half * (apart + 2 * cos**2 * of_sum), half * (apart + 2 * sin**2 * of_sum)


class RBF(_Wave):
    """sqrt(2) sin(sqrt(2 gamma) x + pi / 4), whose kernel is the Gaussian radial basis function."""

    type: Literal["rbf"] = "rbf"
    gamma: NonNegative = 1.0

    equation: ClassVar[str] = "K' = exp(-gamma (p + q - 2 K)); Theta' = 2 gamma K' Theta"

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return 2**0.5 * jnp.sin(jnp.sqrt(2 * numbers["gamma"]) * x + jnp.pi / 4)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        scale = 2 * numbers["gamma"]
        value, _ = _means(scale * p, scale * q, scale * c, coincide)
        return value, scale * value
