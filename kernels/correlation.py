"""Correlations and angles of two Gaussians, safe at zero variance and at correlation one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jax import Array

ARCCOS_COEFFICIENTS = (
    -0.0012624911,
    0.0066700901,
    -0.0170881256,
    0.0308918810,
    -0.0501743046,
    0.0889789874,
    -0.2145988016,
    1.5707963050,
)
"""arccos(r) = sqrt(1 - r) P(r) on [0, 1] to 2e-8: Abramowitz & Stegun 4.4.46, highest first."""

FOLD_COEFFICIENTS = (
    0.0002408201,
    -0.0012498084,
    0.0034000975,
    -0.0075661688,
    0.0187789244,
    -0.0707947951,
    0.9999999855,
)
"""sqrt(1 - r^2) - r arccos(r) = (1 - r)^(3/2) P(r) on [0, 1] to 1.5e-8 of its value, highest first:
a minimax fit to values in extended precision."""


def correlation(p: Array, q: Array, c: Array, coincide: Array | bool) -> tuple[Array, Array]:
    """The scale sqrt(p q) and the correlation c / sqrt(p q) in [-1, 1].

    The square roots are taken before the product, so that p q may leave the range of the dtype. The
    division for each pair is one that XLA does not care to repeat, so that the correlation is written
    to memory once; as a product with 1 / sqrt(p q) it would be computed again from all layers below,
    and deep networks would take quadratic time. A zero variance gives correlation 0; `coincide`
    gives exactly 1.
    """
    import jax.numpy as jnp

    scale = jnp.sqrt(p) * jnp.sqrt(q)
    zero = scale <= 0  # and not NaN, which stays
    rho = jnp.clip(c / jnp.where(zero, 1, scale), -1, 1)
    return scale, jnp.where(coincide, jnp.where(zero, 0.0, 1.0), rho)


def root_determinant(p: Array, q: Array, c: Array, coincide: Array | bool) -> Array:
    """sqrt(p q - c^2) of the covariance [[p, c], [c, q]]: exactly 0 where u and v coincide.

    A product of the roots of a difference and a sum, so that it loses less and never overflows.
    """
    import jax.numpy as jnp

    scale = jnp.sqrt(p) * jnp.sqrt(q)
    root = jnp.sqrt(jnp.maximum(scale - c, 0)) * jnp.sqrt(jnp.maximum(scale + c, 0))
    return jnp.where(coincide, 0, root)


def sine_and_angle(rho: Array) -> tuple[Array, Array]:
    """sin(t) and t = arccos(rho).

    The sine is sqrt((1 - rho)(1 + rho)): the differences are exact near 1, where 1 - rho^2
    would cancel. In float64 the angle is an arctan2 of sine and cosine; in float32 a polynomial
    takes 1-2 ns an element where arctan2 takes 11-28 on a CPU, and its error of 2e-8 is below
    rounding.
    """
    import jax.numpy as jnp

    sine = jnp.sqrt((1 - rho) * (1 + rho))
    if rho.dtype == jnp.float64:
        return sine, jnp.arctan2(sine, rho)
    return sine, _obtuse(rho, jnp.sqrt(1 - jnp.abs(rho)) * _polynomial(ARCCOS_COEFFICIENTS, rho))


def fold_and_angle(rho: Array) -> tuple[Array, Array]:
    """sin(a) - a cos(a) of the acute angle a = arccos |rho|, and t = arccos(rho).

    The arc-cosine kernel is sin(t) + (pi - t) cos(t) = fold + pi max(rho, 0), where nothing cancels.
    In float32 both are polynomials times one square root.
    """
    import jax.numpy as jnp

    size = jnp.abs(rho)
    if rho.dtype == jnp.float64:
        sine = jnp.sqrt((1 - rho) * (1 + rho))
        acute = jnp.arctan2(sine, size)
        return sine - size * acute, _obtuse(rho, acute)
    root = jnp.sqrt(1 - size)
    fold = root * (1 - size) * _polynomial(FOLD_COEFFICIENTS, rho)
    return fold, _obtuse(rho, root * _polynomial(ARCCOS_COEFFICIENTS, rho))


def _polynomial(coefficients: Sequence[float], rho: Array) -> Array:
    """At |rho|."""
    import jax.numpy as jnp

    size = jnp.abs(rho)
    total = jnp.full_like(size, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * size + coefficient
    return total


def _obtuse(rho: Array, acute: Array) -> Array:
    """arccos(rho) from arccos |rho|."""
    import jax.numpy as jnp

    return jnp.where(rho < 0, jnp.pi - acute, acute)
