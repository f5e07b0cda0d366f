"""Dual activations of functions that may have a kink at 0, one variable after the other.

E f(u) f(v) = E[f(u) E[f(v) | u]] with v | u Gaussian. Both integrals are cut at 0, and into
intervals that halve towards it, so that neither a kink nor a steep function nor a correlation near
+-1 is anything to the Gauss-Legendre rule on each. No angle, no series and no table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ENDS = np.concatenate([[0], 2.0 ** np.arange(-32, 0), np.arange(1, 20)])
"""From 0 to 19: halving below 1, one wide above it."""
_REACH = 9.5
"""Where the normal density is 1e-20."""


def _nodes() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(12)
    widths = np.diff(_ENDS)[:, None]
    return (_ENDS[:-1, None] + widths * (nodes + 1) / 2).ravel(), (widths * weights / 2).ravel()


def _density(z: Array) -> Array:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def mean_of_product(f: Callable[[Array], Array], p: float, q: float, rho: float) -> float:
    """E f(u) f(v) for variances p and q and correlation rho, good to about 1e-13 of its scale."""
    step, weight = _nodes()
    step, weight = np.concatenate([-step, step]), np.concatenate([weight, weight])
    inner = np.abs(step) <= _REACH
    across = np.sqrt((1 - rho) * (1 + rho))
    total = 0.0
    for z, share in zip(step[inner], (weight * _density(step))[inner], strict=True):
        kink = np.clip(-rho * z / across, -_REACH, _REACH) if across else 0.0
        v = np.sqrt(q) * (rho * z + across * (kink + step))
        total += share * float(f(np.sqrt(p) * z) * ((weight * _density(kink + step)) @ f(v)))
    return total
