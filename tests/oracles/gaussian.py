"""Dual activations by numerical integration: no closed form of any activation is used here.

For (u, v) ~ N(0, [[a, c], [c, b]]) an activation f needs E f(u) f(v) and E f'(u) f'(v).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import erf, ndtr

Array = np.ndarray[Any, Any]
Scalar = Callable[[Array], Array]

_ARC_NODES = 24
_ENTRIES_AT_ONCE = 512


def expectations(layer: dict[str, Any], a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """E f(u) f(v) and E f'(u) f'(v) for every entry of three arrays of one shape.

    Args:
        layer: the activation as it stands in an architecture.
        a: variances of u.
        b: variances of v.
        c: covariances.
    """
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in (a, b, c)]
    below_above = _slopes(layer)
    if below_above is not None:
        values, slopes = _piecewise_linear(*below_above, *flat)
    else:
        values, slopes = _smooth(layer, *flat)
    return values.reshape(shape), slopes.reshape(shape)


def _slopes(layer: dict[str, Any]) -> tuple[float, float] | None:
    """The slopes below and above zero of what is linear on both sides."""
    kind = layer["type"]
    if kind == "relu":
        return 0.0, 1.0
    if kind == "abs":
        return -1.0, 1.0
    if kind == "leaky_relu":
        return layer["alpha"], 1.0
    if kind == "ab_relu":
        return layer["a"], layer["b"]
    return None


def _piecewise_linear(
    below: float, above: float, a: Array, b: Array, c: Array
) -> tuple[Array, Array]:
    """Polar coordinates: u = sqrt(a) r cos(phi), v = sqrt(b) r cos(phi - angle).

    The radius integrates out (the integral of r^3 exp(-r^2 / 2) is 2, that of r exp(-r^2 / 2) 1).
    The angle is integrated over the four arcs between the kinks, where u or v changes its sign.
    """
    angle = np.arctan2(np.sqrt(np.maximum(a * b - c * c, 0.0)), c)
    nodes, weights = np.polynomial.legendre.leggauss(_ARC_NODES)
    quarter = np.full_like(angle, np.pi / 2)
    ends = [-quarter, angle - quarter, quarter, angle + quarter, 3 * quarter]
    values, slopes = np.zeros_like(a), np.zeros_like(a)
    for start, end in pairwise(ends):
        half = (end - start) / 2
        for node, weight in zip(nodes, weights, strict=True):
            phi = start + half * (1 + node)
            u, v = np.cos(phi), np.cos(phi - angle)
            slope = np.where(u > 0, above, below) * np.where(v > 0, above, below)
            values += weight * half * slope * u * v * 2 / (2 * np.pi)
            slopes += weight * half * slope / (2 * np.pi)
    return np.sqrt(a * b) * values, slopes


def _smooth(layer: dict[str, Any], a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """The trapezoidal rule over the plane of two independent standard normal variables.

    For an entire integrand its error falls like exp(-pi^2 / (2 g h^2)), where exp(g y^2) bounds
    the growth along an imaginary axis: 1/2 from the density, the rest from the activation.
    """
    function, derivative, steepness = _smooth_activation(layer)
    values, slopes = np.zeros_like(a), np.zeros_like(a)
    for start in range(0, len(a), _ENTRIES_AT_ONCE):
        part = slice(start, start + _ENTRIES_AT_ONCE)
        growth = 0.5 + steepness * float((a[part] + b[part]).max())
        step = np.pi / np.sqrt(2 * growth * 32)
        line = np.arange(-9, 9 + step, step)
        density = step * np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi)
        root = np.sqrt(np.where(a[part] > 0, a[part], 1.0))
        along = np.where(a[part] > 0, c[part] / root, 0.0)
        across = np.sqrt(np.maximum(b[part] - along**2, 0.0))
        for first, weight in zip(line, density, strict=True):
            u = np.sqrt(a[part]) * first
            v = along[:, None] * first + across[:, None] * line[None, :]
            values[part] += weight * function(u) * (function(v) @ density)
            slopes[part] += weight * derivative(u) * (derivative(v) @ density)
    return values, slopes


def _smooth_activation(layer: dict[str, Any]) -> tuple[Scalar, Scalar, float]:
    """An activation, its derivative, and how fast both grow along the imaginary axis."""
    if layer["type"] == "erf":
        scale, inner, offset = layer.get("a", 1.0), layer.get("b", 1.0), layer.get("c", 0.0)
        return (
            lambda x: scale * erf(inner * x) + offset,
            lambda x: scale * inner * 2 / np.sqrt(np.pi) * np.exp(-((inner * x) ** 2)),
            inner**2,
        )
    if layer["type"] == "gelu":
        return (
            lambda x: x * ndtr(x),
            lambda x: ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
            0.5,
        )
    raise NotImplementedError(f"the definition has no activation {layer['type']!r}")
