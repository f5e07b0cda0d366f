"""Monomials, polynomials, Hermite polynomials, and monomials of the positive part."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, factorial, prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from kernels.correlation import correlation, sine_and_angle
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Number, Numbers, listed

if TYPE_CHECKING:
    from jax import Array

Degree = Annotated[int, Field(strict=True, ge=1, le=16)]
"""Moments of higher powers leave the range of float32 at everyday variances."""


def _double_factorial(n: int) -> int:
    return prod(range(n, 0, -2))


def mixed_moment(m: int, n: int, p: Array, q: Array, c: Array) -> Array | float:
    """E[u^m v^n] by Isserlis' theorem: j pairs (u, v), the rest among themselves."""
    total: Any = 0.0
    for j in range(m % 2, min(m, n) + 1, 2):
        if (n - j) % 2 == 0:
            ways = factorial(j) * comb(m, j) * comb(n, j)
            ways *= _double_factorial(m - j - 1) * _double_factorial(n - j - 1)
            total = total + float(ways) * c**j * p ** ((m - j) // 2) * q ** ((n - j) // 2)
    return total


class Monomial(Activation):
    """x^degree."""

    type: Literal["monomial"] = "monomial"
    degree: Degree

    equation: ClassVar[str] = "K' = E[(u v)^d]; Theta' = d^2 E[(u v)^(d - 1)] Theta (Isserlis)"
    source: ClassVar[str] = "Isserlis, Biometrika 1918"

    def function(self, numbers: Numbers, x: Array) -> Array:
        return x**self.degree

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        d, zero = self.degree, jnp.zeros_like(c)
        value = mixed_moment(d, d, p, q, c) + zero
        return value, float(d**2) * mixed_moment(d - 1, d - 1, p, q, c) + zero


class Polynomial(Activation):
    """sum_i coef[i] x^i."""

    type: Literal["polynomial"] = "polynomial"
    coef: Annotated[
        tuple[Number, ...], listed("a list of numbers"), Field(min_length=1, max_length=17)
    ]

    equation: ClassVar[str] = (
        "K' = sum_ij c_i c_j E[u^i v^j]; Theta' = sum_ij i j c_i c_j E[u^(i-1) v^(j-1)] Theta"
    )
    source: ClassVar[str] = "Isserlis, Biometrika 1918"

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return jnp.polyval(jnp.stack(numbers["coef"][::-1]), x)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        coef, zero = numbers["coef"], jnp.zeros_like(c)
        slopes = [i * value for i, value in enumerate(coef)][1:]
        return zero + _mean(coef, p, q, c), zero + _mean(slopes, p, q, c)


def _mean(coef: Sequence[Any], p: Array, q: Array, c: Array) -> Any:
    return sum(
        a * b * mixed_moment(i, j, p, q, c)
        for i, a in enumerate(coef)
        for j, b in enumerate(coef)
        if (i - j) % 2 == 0
    )


class Hermite(Activation):
    """The normalised probabilists' Hermite polynomial He_n(x) / sqrt(n!)."""

    type: Literal["hermite"] = "hermite"
    degree: Degree

    equation: ClassVar[str] = (
        "h_n = sum_i n! / ((2^i i!)^2 (n - 2 i)!) ((p - 1)(q - 1))^i K^(n - 2 i); "
        "K' = h_n; Theta' = n h_(n-1) Theta; after layer_norm p = q = 1 and h_n = K^n"
    )
    source: ClassVar[str] = "Daniely et al., arXiv 1602.05897, with Hermite's scaling formula"
    passes: ClassVar[float] = 8.0

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        before, value = jnp.ones_like(x), x
        for n in range(1, self.degree):
            before, value = value, x * value - n * before
        return value / factorial(self.degree) ** 0.5

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        n = self.degree
        return _hermite_mean(n, p, q, c), n * _hermite_mean(n - 1, p, q, c)


def _hermite_mean(n: int, p: Array, q: Array, c: Array) -> Array:
    import jax.numpy as jnp

    total, excess = jnp.zeros_like(c), (p - 1) * (q - 1)
    for i in range(n // 2 + 1):
        weight = factorial(n) / ((2**i * factorial(i)) ** 2 * factorial(n - 2 * i))
        total = total + weight * excess**i * c ** (n - 2 * i)
    return total


class RectifiedMonomial(Activation):
    """x^degree for x > 0, else 0."""

    type: Literal["rectified_monomial"] = "rectified_monomial"
    degree: Degree

    equation: ClassVar[str] = (
        "K' = g^d M(d, d); Theta' = d^2 g^(d-1) M(d-1, d-1) Theta; g = sqrt(p q), "
        "M(m, n) = E[z^m w^n; z, w > 0] of unit Gaussians with correlation K / g"
    )
    source: ClassVar[str] = "Cho & Saul, NeurIPS 2009; M by Stein's identity"

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return jnp.maximum(x, 0) ** self.degree

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        d = self.degree
        scale, rho = correlation(p, q, c, coincide)
        sine, angle = sine_and_angle(rho)
        value = scale**d * _quadrant_moment(d, d, rho, sine, angle)
        return value, d**2 * scale ** (d - 1) * _quadrant_moment(d - 1, d - 1, rho, sine, angle)


def _quadrant_moment(m: int, n: int, rho: Array, sine: Array, angle: Array) -> Any:
    """M(m, n) = (m - 1) M(m - 2, n) + rho n M(m - 1, n - 1) + what Stein's identity
    E[z g] = E[g_z] + rho E[g_w] leaves on the boundary: z = 0 if m = 1, w = 0 if n = 0."""
    import jax.numpy as jnp

    if m < n:
        return _quadrant_moment(n, m, rho, sine, angle)
    if m == 0:
        return (jnp.pi - angle) / (2 * jnp.pi)
    total: Any = 0.0
    if m == 1:
        total = _half_moment(n) * sine**n / jnp.sqrt(2 * jnp.pi)
    else:
        total = (m - 1) * _quadrant_moment(m - 2, n, rho, sine, angle)
    if n == 0:
        return total + rho * _half_moment(m - 1) * sine ** (m - 1) / jnp.sqrt(2 * jnp.pi)
    return total + n * rho * _quadrant_moment(m - 1, n - 1, rho, sine, angle)


def _half_moment(n: int) -> float:
    """E[x^n; x > 0] of a unit Gaussian."""
    from math import pi, sqrt

    if n % 2 == 0:
        return _double_factorial(n - 1) / 2
    return _double_factorial(n - 1) / sqrt(2 * pi)
