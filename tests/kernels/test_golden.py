"""Every golden kernel: float64 to the goldens' tolerance, float32 to the accuracy contract."""

from typing import Any

import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from tests.oracles.definition import diagonals
from tests.oracles.golden import NAMES, NOT_DEFINED, Golden, assert_golden, load

Array = np.ndarray[Any, Any]

FLOAT32_NTK_BOUND = 1e-4
"""Where two inputs are nearly the same (rho > 0.999) or the network is deeper than three
nonlinearities the derivative kernels amplify float32 rounding. Measured over the goldens: 2e-5."""
DEEP = {"transformer4", "transformer4_mask"}


def relative(golden: Golden, output: str, matrix: Array) -> Array:
    """A matrix over sqrt(K(x, x) K(x', x')), each kernel over its own float64 diagonals."""
    inputs = golden.inputs
    one = np.sqrt(_diagonals(golden, inputs["x1"], inputs.get("mask1"))[output])
    if golden.symmetric:
        return matrix / np.outer(one, one)
    two = np.sqrt(_diagonals(golden, inputs["x2"], inputs.get("mask2"))[output])
    return matrix / np.outer(one, two)


def _diagonals(golden: Golden, x: Array, mask: Array | None) -> dict[str, Array]:
    if golden.name not in NOT_DEFINED:
        return diagonals(golden.spec, x, mask)
    # A scale is all that is wanted, so the float64 kernel, held to the golden above, will do.
    own = kernel_matrix(golden.spec, x, mask1=mask, dtype="float64")
    return {output: np.diag(kernel) for output, kernel in own.items()}


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_the_golden_kernel(name: str) -> None:
    golden = load(name)
    result = kernel_matrix(
        golden.spec, **golden.inputs, outputs=list(golden.expected), dtype="float64"
    )
    assert_golden(golden, result)


@pytest.mark.parametrize("name", NAMES)
def test_float32_keeps_the_accuracy_contract(name: str) -> None:
    golden = load(name)
    result = kernel_matrix(golden.spec, **golden.inputs, outputs=list(golden.expected))
    for output, expected in golden.expected.items():
        assert result[output].dtype == np.float32
        error = np.abs(relative(golden, output, result[output] - expected))
        if output == "nngp":
            assert error.max() <= 1e-5
            continue
        nngp = golden.expected.get("nngp", kernel_matrix(golden.spec, **golden.inputs)["nngp"])
        easy = (np.abs(relative(golden, "nngp", nngp)) <= 0.999) & (name not in DEEP)
        assert (error <= np.where(easy, 1e-5, FLOAT32_NTK_BOUND)).all(), f"{error.max():.1e}"


@pytest.mark.parametrize("name", ["att_softmax", "img_conv_flatten_sym", "mask_ln_spatial"])
@pytest.mark.parametrize("output", ["nngp", "ntk"])
def test_one_output_alone_equals_both_together(name: str, output: str) -> None:
    golden = load(name)
    result = kernel_matrix(golden.spec, **golden.inputs, outputs=[output], dtype="float64")
    assert set(result) == {output}
    np.testing.assert_allclose(result[output], golden.expected[output], rtol=1e-8)
