"""Looking a dual up in its table, for all pairs of positions at once.

A position's features are its combinations of Chebyshev polynomials in ln(1 + s), times the norm
of f there. A pair costs one product of features for each polynomial in the angle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_batching import custom_vmap

from kernels.correlation import sine_and_angle
from kernels.demand import Demand
from kernels.layers.activation.dual_table import (
    LARGEST_ANGLE,
    LARGEST_DEVIATION,
    STRETCH,
    Table,
    half_line,
    tables,
)

if TYPE_CHECKING:
    from kernels.engine.block import Site

_NODES: Final = 200
"""Quadrature nodes on each half line for the norms: 1e-12 up to the largest deviation."""
_FLOAT32_TERMS: Final = 24
"""Polynomials in the angle that matter in float32: the others add up to 1e-7."""


class Features(NamedTuple):
    """What one input's variances become, for f or for f'.

    Attributes:
        square: E[f^2], (P,) or ().
        features: (P, R) or (R,).
    """

    square: Array
    features: Array


def observed(function: Callable[[Any], Any], variance: Array) -> tuple[Features, Features]:
    """Of f and of f'; NaN where the variance is beyond the table.

    Args:
        function: f, of arrays.
        variance: (P,) or ().
    """
    s = jnp.sqrt(variance)[..., None]
    half, weights = half_line(_NODES)
    z = np.concatenate([-half, half]).reshape((1,) * variance.ndim + (-1,))
    x = s * jnp.asarray(z, s.dtype)
    w = jnp.asarray(np.concatenate([weights, weights]), s.dtype)
    place = 2 * jnp.log1p(s) / np.log1p(LARGEST_DEVIATION) - 1
    place = jnp.clip(place, -1, 1)
    # Not arccos, which is compiled wrongly for wide registers (kernels/compiler_options.py).
    angle = jnp.arctan2(jnp.sqrt((1 - place) * (1 + place)), place)
    found: list[Features] = []
    both = jax.jvp(function, (x,), (jnp.ones_like(x),))
    for values, table in zip(both, tables(function), strict=True):
        square = jnp.matmul(values * values, w)
        square = jnp.where(s[..., 0] <= LARGEST_DEVIATION, square, jnp.nan)
        orders = jnp.arange(len(table.basis), dtype=s.dtype).reshape((1,) * variance.ndim + (-1,))
        polynomials = jnp.cos(angle * orders)
        features = jnp.matmul(polynomials, jnp.asarray(table.basis, s.dtype))
        found.append(Features(square, jnp.sqrt(square)[..., None] * features))
    return found[0], found[1]


def interpolated(table: Table, one: Features, two: Features, rho: Array, site: Site) -> Array:
    """E f(u) f(v) for a block of pairs of positions, like rho.

    Args:
        table: of f.
        one: of x.
        two: of x'.
        rho: correlations.
        site: says how the block pairs positions.
    """
    _, angle = sine_and_angle(jnp.abs(rho))
    place = 2 * jnp.log1p(STRETCH / LARGEST_ANGLE * angle) / np.log1p(STRETCH) - 1
    terms = table.core.shape[1] if rho.dtype == jnp.float64 else _FLOAT32_TERMS

    def product(core: Array) -> Array:
        left = jnp.matmul(one.features, core)
        if site.wanted_in is Demand.FULL:
            return jnp.matmul(left, two.features.T)
        return (left * two.features).sum(-1)

    def add(carry: tuple[Array, Array, Array], core: Array) -> tuple[Any, None]:
        now, before, total = carry
        return (2 * place * now - before, now, total + now * product(core)), None

    def of_sign(core: Array) -> Array:
        start = (jnp.ones_like(rho), place, jnp.zeros_like(rho))
        return lax.scan(add, start, core)[0][2]

    def unless_idle(where: Array, core: Array) -> Array:
        return lax.cond(_anywhere(where), of_sign, lambda core: jnp.zeros_like(rho), core)

    positive, negative = jnp.asarray(table.core[:, :terms], rho.dtype)
    below = rho < 0
    same, opposite = unless_idle(~below, positive), unless_idle(below, negative)
    return jnp.where(below, opposite, same)


@custom_vmap
def _anywhere(where: Array) -> Array:
    """Whether any entry is True of all that are computed together: under vmap, in any of them.

    A condition that differed from pair to pair would make vmap compute both branches always.
    """
    return where.any()


@_anywhere.def_vmap
def _anywhere_of_all(axis_size: int, in_batched: list[bool], where: Array) -> tuple[Array, bool]:
    del axis_size, in_batched
    return _anywhere(where), False
