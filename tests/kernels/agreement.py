"""Holding kernel_matrix to the spelled-out definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.architecture import parse_architecture
from kernels.matrix import kernel_matrix
from tests.kernels.networks import Array, Layer, entries, masks
from tests.oracles.definition import definition

_ZERO = 1e-20
"""A kernel below this is zero: inputs and weights are of order one, and the definition's integrals
of odd functions leave 1e-33 where the kernel has 0."""


def inputs(shape1: tuple[int, ...], shape2: tuple[int, ...] | None, mask: str) -> dict[str, Array]:
    """Both sides, as keyword arguments of `kernel_matrix`; what a mask hides is NaN."""
    made: dict[str, Any] = {}
    for seed, (number, shape) in enumerate((("1", shape1), ("2", shape2))):
        if shape is None:
            continue
        x, real = entries(shape, seed), masks(mask, shape, seed)
        if real is not None:
            x[~real] = np.nan
            made[f"mask{number}"] = real
        made[f"x{number}"] = x
    return made


def assert_as_defined(
    layers: list[Layer], shape1: tuple[int, ...], shape2: tuple[int, ...] | None, mask: str
) -> None:
    """float64 kernels agree with the definition to 1e-8 of their largest entry.

    Inputs of one channel may be multiples of each other, whose correlation is 1 up to rounding. The
    angle is then off by the root of that, 2e-8, and so is the ntk above a kink. The nngp above a sign
    is the angle itself, so that the next kink takes the root of what it is off by.
    """
    kinks = [
        layer.name()
        for layer in parse_architecture({"layers": layers}).every_layer()
        if layer.kinked
    ]
    allowed = 1e-8
    if kinks and shape1[-1] == 1:
        allowed = 10 * 1e-16 ** (1 / 2 ** (1 + kinks[:-1].count("sign")))
    architecture, given = {"layers": layers}, inputs(shape1, shape2, mask)
    expected = definition(architecture, **given)
    result = kernel_matrix(architecture, **given, dtype="float64")
    for output in ("nngp", "ntk"):
        assert result[output].shape == expected[output].shape
        scale = max(np.abs(expected[output]).max(), _ZERO)
        error = np.abs(result[output] - expected[output]).max() / scale
        assert error < allowed, f"{output}: off by {error:.1e} of the largest entry"
