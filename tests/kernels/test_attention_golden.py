"""The goldens of the attention mechanisms: float64 to 1e-9, float32 to the accuracy contract."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from tests.oracles.definition import definition, diagonals
from tests.oracles.golden import ATTENTION_NAMES, Array, Golden, load_attention


def coinciding(golden: Golden) -> Array:
    """Pairs of one and the same input, (n1, n2): an angle of zero has half of the digits there,
    and the definition the goldens were made from takes another root of it than we do."""
    x1, x2 = golden.inputs["x1"], golden.inputs["x2"]
    return (np.abs(x1[:, None] - x2[None, :]).reshape(len(x1), len(x2), -1) == 0).all(2)


@pytest.mark.parametrize("name", ATTENTION_NAMES)
def test_float64_is_the_golden_kernel(name: str) -> None:
    golden = load_attention(name)
    result = kernel_matrix(golden.spec, **golden.inputs, dtype="float64")
    for output, expected in golden.expected.items():
        allowed = np.where(coinciding(golden) & (output == "ntk"), 1e-8, 1e-9)
        error = np.abs(result[output] - expected) / np.abs(expected).max()
        assert (error <= allowed).all(), f"{output}: off by {error.max():.1e}"


@pytest.mark.parametrize("name", ATTENTION_NAMES)
def test_the_definition_agrees_with_the_golden_kernel(name: str) -> None:
    golden = load_attention(name)
    result = definition(golden.spec, **golden.inputs)
    for output, expected in golden.expected.items():
        assert np.abs(result[output] - expected).max() <= 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("name", ATTENTION_NAMES)
def test_float32_keeps_the_accuracy_contract(name: str) -> None:
    golden = load_attention(name)
    result = kernel_matrix(golden.spec, **golden.inputs)
    sides = [("x1", "mask1"), ("x2", "mask2")]
    own = [diagonals(golden.spec, golden.inputs[x], golden.inputs.get(m)) for x, m in sides]
    for output, expected in golden.expected.items():
        scale = np.sqrt(np.outer(own[0][output], own[1][output]))
        error = np.abs(result[output] - expected) / scale
        allowed = 1e-5 if output == "nngp" else np.where(coinciding(golden), 1e-4, 1e-5)
        assert (error <= allowed).all(), f"{output}: off by {error.max():.1e}"
