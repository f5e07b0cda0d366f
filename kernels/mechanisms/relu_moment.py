"""E[relu(u) relu(v)] of Gaussians u and v, as a correlation: 1 where they are one variable."""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING, Final

from kernels.correlation import correlation, sine_and_angle

if TYPE_CHECKING:
    from jax import Array

_SERIES: Final = [(-1) ** j * 2 * (j + 1) / factorial(2 * j + 3) for j in reversed(range(8))]
"""Of (sin w - w cos w) / w^3 in powers of w^2, highest first: to 1e-17 at w = 1/2."""


def relu_correlation(cov: Array) -> Array:
    """E[relu(u) relu(v)] / sqrt(E[relu(u)^2] E[relu(v)^2]), (T, T), from the covariance, (T, T).

    That is (sin w - w cos w) / pi with w = pi - t. Without meaning where a variance is zero.
    """
    import jax.numpy as jnp

    variance = jnp.maximum(jnp.diagonal(cov), 0)
    itself = jnp.eye(len(variance), dtype=bool)
    _, rho = correlation(variance[:, None], variance[None, :], cov, itself)
    return opposite_angle_and_segment(rho)[1] / jnp.pi


def opposite_angle_and_segment(rho: Array) -> tuple[Array, Array]:
    """w = arccos(-rho) and sin w - w cos w, both without cancellation where w is small.

    The difference is far below rounding of its terms there; the weight of a much larger key under
    normalisation would show it.
    """
    import jax.numpy as jnp

    sine, w = sine_and_angle(-rho)
    square = w * w
    series = w * square * jnp.polyval(jnp.asarray(_SERIES, w.dtype), square)
    return w, jnp.where(w < 0.5, series, sine + w * rho)
