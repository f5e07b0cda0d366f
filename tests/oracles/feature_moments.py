"""E[phi(u) phi(v)] of the feature maps of linear attention, by integration of other forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr

from tests.oracles.gaussian import Array, expectations

_PANEL_NODES = 40
_REACH = 13.0
"""Standard deviations of u: the density is 1e-37 there."""
_SMALLEST = -50
"""Panels shrink towards the kink in powers of two, to 2^-50 of the reach."""


def feature_moments(feature_map: str | dict[str, Any], a: Array, b: Array, c: Array) -> Array:
    """kappa for every entry of three arrays of one shape.

    Args:
        feature_map: as it stands in an architecture.
        a: variances of u.
        b: variances of v.
        c: covariances.
    """
    kind = feature_map if isinstance(feature_map, str) else feature_map["type"]
    if kind == "elu_plus_one":
        return elu_plus_one(a, b, c)
    value, _ = expectations({"type": "relu"}, a, b, c)
    # A product of two coordinates that are independent of each other, for every shift.
    return value**2 if kind == "dpfp" else value


def elu_plus_one(a: Array, b: Array, c: Array) -> Array:
    """The integral over u of phi(u) E[phi(v) | u], whose inner mean is a closed form.

    Both factors have their kink at u = 0, the second one smoothed by what of v does not follow u:
    panels that shrink geometrically towards it resolve every width.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    edges = np.concatenate([[0.0], 2.0 ** np.arange(_SMALLEST, 1)])
    low, width = edges[:-1, None], np.diff(edges)[:, None]
    half = _REACH * (low + width * (nodes[None, :] + 1) / 2).reshape(-1)
    share = _REACH * (width * weights[None, :] / 2).reshape(-1)
    z = np.concatenate([-half, half])
    density = np.concatenate([share, share]) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    values = np.empty(a.size)
    flat = zip(a.reshape(-1), b.reshape(-1), c.reshape(-1), strict=True)
    for index, (p, q, r) in enumerate(flat):
        slope = r / np.sqrt(p) if p > 0 else 0.0
        spread = np.sqrt(max(q - slope**2, 0.0))
        values[index] = density @ (_phi(np.sqrt(p) * z) * _mean_of_phi(slope * z, spread))
    return values.reshape(a.shape)


def _phi(z: Array) -> Array:
    return np.where(z > 0, 1 + z, np.exp(np.minimum(z, 0)))


def _mean_of_phi(mean: Array, spread: float) -> Array:
    """E[phi(v)], v normal."""
    if spread == 0:
        return _phi(mean)
    x = mean / spread
    bell = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    # In logarithms: the exponential alone overflows where the probability is tiny.
    below = np.exp(mean + spread**2 / 2 + log_ndtr(-x - spread))
    return ndtr(x) * (1 + mean) + spread * bell + below
