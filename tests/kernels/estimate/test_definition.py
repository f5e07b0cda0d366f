"""Estimates are within their standard errors of integrals that draw no heads."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from tests.kernels.agreement import inputs
from tests.kernels.estimate.networks import CASES
from tests.oracles.definition import definition

FAST = ("softmax_bias", "softmax_above_relu", "relu_holes")
"""For every run of the tests; each of the others compiles for seconds."""


@pytest.mark.parametrize("name", FAST)
def test_a_handful_agrees_with_the_definition(name: str) -> None:
    assert_as_defined(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in FAST])
def test_estimates_agree_with_the_definition(name: str) -> None:
    assert_as_defined(name)


def assert_as_defined(name: str) -> None:
    """Every entry is within 4.5 standard errors, and those are small."""
    case = CASES[name]
    given = inputs(case.shape1, case.shape2, case.mask)
    exact = definition({"layers": case.layers}, **given)
    found = kernel_matrix({"layers": case.layers}, **given, dtype="float64")
    for output in ("nngp", "ntk"):
        error = found[f"{output}_stderr"]
        scale = np.abs(exact[output]).max()
        assert error.max() <= 0.2 * scale
        # A kernel without randomness (one key has weight 1) has rounding for an error.
        off = np.abs(found[output] - exact[output]) / (error + 1e-9 * scale)
        assert off.max() <= 4.5, f"{output}: {off.max():.1f} standard errors off"
