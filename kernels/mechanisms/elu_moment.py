"""E[phi(u) phi(v)] of Gaussians u and v for phi(z) = elu(z) + 1: 1 + z above zero, exp(z) below.

The closed form has bivariate normal probabilities times exponentials of variances, and multiplies
huge by tiny numbers. In polar coordinates u = a r cos(al), v = b r cos(al - t), with standard
deviations a and b and correlation cos t, the radius integrates out (mills.py) and leaves integrals
over the arcs between the kinks of phi, with w = pi - t:

    kappa = w / (2 pi) + (1 + cos t) (a + b) / (2 sqrt(2 pi)) + a b (sin w - w cos w) / (2 pi)
            + I(a, b) + I(b, a) + J
    I(x, y) = 1 / (2 pi) int_0^t [M_1(p) + x sin(g) M_2(p)] dg,  p = y sin(t - g)
    J = 1 / (2 pi) int_0^w M_1(a sin(g) + b sin(w - g)) dg

The integrands are entire, so Gauss-Legendre nodes converge faster than any power, uniformly in t.
Where a standard deviation s is large they have layers of width 1 / s at the ends of the arcs;
nodes are moved there by g -> tanh, with a strength that follows the largest s of the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.correlation import correlation, sine_and_angle
from kernels.mechanisms.mills import mills_one, mills_two
from kernels.mechanisms.relu_moment import opposite_angle_and_segment
from kernels.mechanisms.sine import sine

if TYPE_CHECKING:
    from jax import Array

_VARIANCES = (4.0, 256.0, 1e5)
_NODES = {"float32": (12, 16, 24, 40), "float64": (16, 24, 40, 64)}
"""Nodes on each arc where no variance is larger than the first, second, third of these; else.

Measured over random and nearly singular (a, b, t), the relative error of the float64 rules is below
2e-13 up to variances of 1e7 and 2e-12 at 1e8, that of the float32 rules below 5e-8 up to 1e8. Without
the pull, nodes of the same number leave 3e-4 at 1e4 and no digit at 1e8."""
_PULL = 0.7
"""How fast nodes move to the ends with the largest standard deviation; 0.5 to 1 are alike."""


def elu_plus_one_moment(cov: Array) -> Array:
    """kappa of every pair of positions, (T, T), from their covariance, (T, T)."""
    import jax.numpy as jnp

    variance = jnp.maximum(jnp.diagonal(cov), 0)
    std = jnp.sqrt(variance)
    a, b = std[:, None], std[None, :]
    itself = jnp.eye(len(std), dtype=bool)
    # Where a or b is zero phi is the constant 1, and any angle is right: correlation says 0.
    scale, rho = correlation(variance[:, None], variance[None, :], cov, itself)
    _, t = sine_and_angle(rho)
    positive = (1 + rho) * (a + b) / (2 * jnp.sqrt(2 * jnp.pi))
    w, segment = opposite_angle_and_segment(rho)
    one, both = _arcs(a, b, t, w)
    return (w + scale * segment + one + one.T + both) / (2 * jnp.pi) + positive


def _arcs(a: Array, b: Array, t: Array, w: Array) -> tuple[Array, Array]:
    """2 pi I(a, b) and 2 pi J, node by node: one (T, T) array at a time."""
    import jax.numpy as jnp
    from jax import lax

    near, far, weight, count = _nodes(jnp.max(a))

    def add(k: Array, totals: tuple[Array, Array]) -> tuple[Array, Array]:
        # Angles come with their supplements, near + far = 1 and t + w = pi.
        t_near, t_far, w_near, w_far = t * near[k], t * far[k], w * near[k], w * far[k]
        p = b * sine(t_far, w + t_near)
        one = t * (mills_one(p) + a * sine(t_near, w + t_far) * mills_two(p))
        p = a * sine(w_near, t + w_far) + b * sine(w_far, t + w_near)
        both = w * mills_one(p)
        return totals[0] + weight[k] * one, totals[1] + weight[k] * both

    return lax.fori_loop(0, count, add, (jnp.zeros_like(t), jnp.zeros_like(t)))


def _nodes(largest: Array) -> tuple[Array, Array, Array, Array]:
    """Nodes g in (0, 1), 1 - g and weights, (n,) each, and how many of them count.

    g = (1 + tanh(c z) / tanh(c)) / 2 at the Gauss-Legendre nodes z, written so that neither g nor
    1 - g cancels. The number follows the input's largest standard deviation.
    """
    import jax.numpy as jnp

    counts = _NODES[largest.dtype.name]
    table = np.zeros((len(counts), 4, counts[-1]))
    for row, count in zip(table, counts, strict=True):
        nodes, weights = np.polynomial.legendre.leggauss(count)
        row[:, :count] = 1 + nodes, 1 - nodes, nodes, weights
    level = (largest > jnp.sqrt(jnp.asarray(_VARIANCES, largest.dtype))).sum()
    below, above, z, share = jnp.asarray(table, largest.dtype)[level]
    c = jnp.maximum(jnp.log1p(_PULL * largest) / 2, 0.01)
    spread = 2 * jnp.sinh(c) * jnp.cosh(c * z)
    slope = c / (2 * jnp.tanh(c) * jnp.cosh(c * z) ** 2)
    near, far = jnp.sinh(c * below) / spread, jnp.sinh(c * above) / spread
    return near, far, share * slope, jnp.asarray(counts)[level]
