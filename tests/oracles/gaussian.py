"""Dual activations by numerical integration: no closed form of any activation is used here.

For (u, v) ~ N(0, [[a, c], [c, b]]) an activation f needs E f(u) f(v) and E f'(u) f'(v).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import factorial, sqrt
from typing import Any

import numpy as np
from scipy.special import erf, ndtr

Array = np.ndarray[Any, Any]
Scalar = Callable[[Array], Array]

_ARC_NODES = 24
_ENTRIES_AT_ONCE = 512
_REACH = 12.0
"""How far the trapezoidal rule goes on both sides: the density is 1e-32 there, which leaves room
for activations that grow."""

_FINEST = 600
"""Points a dimension: the square of it for each entry is a hundredth of a second."""

ACTIVATIONS = (
    *("relu", "abs", "leaky_relu", "ab_relu", "sign", "rectified_monomial", "erf", "gelu"),
    *("sin", "cos", "rbf", "exp", "gaussian", "monomial", "polynomial", "hermite"),
)


class TooFine(Exception):
    """Variances so large that a smooth activation would have to be looked at too closely."""


def expectations(layer: dict[str, Any], a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """E f(u) f(v) and E f'(u) f'(v) for every entry of three arrays of one shape.

    Args:
        layer: the activation as it stands in an architecture.
        a: variances of u.
        b: variances of v.
        c: covariances.

    Raises:
        TooFine: it would take minutes.
    """
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in (a, b, c)]
    pieces = _pieces(layer)
    values, slopes = _smooth(layer, *flat) if pieces is None else _in_pieces(*pieces, *flat)
    return values.reshape(shape), slopes.reshape(shape)


def _pieces(layer: dict[str, Any]) -> tuple[int, float, float] | None:
    """The degree d, and the factors of |x|^d below and above zero, of what has a kink there."""
    kind = layer["type"]
    if kind == "relu":
        return 1, 0.0, 1.0
    if kind == "abs":
        return 1, 1.0, 1.0
    if kind == "leaky_relu":
        return 1, -layer["alpha"], 1.0
    if kind == "ab_relu":
        return 1, -layer["a"], layer["b"]
    if kind == "sign":
        return 0, -1.0, 1.0
    if kind == "rectified_monomial":
        return layer["degree"], 0.0, 1.0
    return None


def _in_pieces(
    degree: int, below: float, above: float, a: Array, b: Array, c: Array
) -> tuple[Array, Array]:
    """Polar coordinates: u = sqrt(a) r cos(phi), v = sqrt(b) r cos(phi - angle).

    The radius integrates out: the integral of r^(2 d + 1) exp(-r^2 / 2) is 2^d d!. The angle is
    integrated over the four arcs between the kinks, where u or v changes its sign.
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
            factors = np.where(u > 0, above, below) * np.where(v > 0, above, below)
            signs = np.sign(u) * np.sign(v)
            share = weight * half / (2 * np.pi) * factors
            values += share * np.abs(u * v) ** degree
            # The derivative of |x|^d is d |x|^(d - 1) sign(x); that of a step counts as zero.
            slopes += share * signs * np.abs(u * v) ** max(degree - 1, 0)
    scale = np.sqrt(a * b)
    live = 2.0 ** (degree - 1) * factorial(degree - 1) * degree**2 if degree else 0.0
    values = np.where(scale > 0, values, 0.0)
    return (
        scale**degree * 2.0**degree * factorial(degree) * values,
        live * scale ** max(degree - 1, 0) * slopes,
    )


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
        if 2 * _REACH / step > _FINEST:
            raise TooFine(f"variances up to {max(a[part].max(), b[part].max()):.3g}")
        line = np.arange(-_REACH, _REACH + step, step)
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
    scale, inner, shift = layer.get("a", 1.0), layer.get("b", 1.0), layer.get("c", 0.0)
    kind = layer["type"]
    if kind == "rbf":
        scale, inner, shift, kind = sqrt(2), sqrt(2 * layer.get("gamma", 1.0)), np.pi / 4, "sin"
    if kind == "sin":
        return (
            lambda x: scale * np.sin(inner * x + shift),
            lambda x: scale * inner * np.cos(inner * x + shift),
            inner**2,
        )
    if kind == "cos":
        return (
            lambda x: scale * np.cos(inner * x + shift),
            lambda x: -scale * inner * np.sin(inner * x + shift),
            inner**2,
        )
    if kind == "exp":
        return (
            lambda x: scale * np.exp(inner * x),
            lambda x: scale * inner * np.exp(inner * x),
            inner**2,
        )
    if kind == "gaussian":
        inner = layer.get("b", -1.0)
        return (
            lambda x: scale * np.exp(inner * x**2),
            lambda x: 2 * scale * inner * x * np.exp(inner * x**2),
            abs(inner),
        )
    series = _polynomial(layer)
    return series, series.deriv(), 1.0


def _polynomial(layer: dict[str, Any]) -> np.polynomial.Polynomial:
    if layer["type"] == "polynomial":
        return np.polynomial.Polynomial(layer["coef"])
    degree = layer["degree"]
    if layer["type"] == "hermite":
        he = np.polynomial.HermiteE.basis(degree).convert(kind=np.polynomial.Polynomial)
        return he / sqrt(factorial(degree))
    assert layer["type"] == "monomial"
    return np.polynomial.Polynomial.basis(degree)
