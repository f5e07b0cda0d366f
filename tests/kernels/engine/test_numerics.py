"""float32 where it is delicate: zeros, duplicates, huge and tiny scales, overflow."""

from typing import Any

import numpy as np
import pytest

from kernels.engine import tile
from kernels.engine.tile import _computed
from kernels.errors import NumericsError
from kernels.matrix import kernel_matrix
from tests.kernels.networks import (
    ABS,
    ERF,
    FLATTEN,
    GELU,
    LAYER_NORM,
    POOL,
    RELU,
    attention,
    conv,
    dense,
    entries,
)

NO_BIAS = dense(1.4, 0.0)
HOMOGENEOUS = {"layers": [NO_BIAS, RELU, NO_BIAS, ABS, NO_BIAS]}


@pytest.mark.parametrize("activation", [RELU, ABS, ERF, GELU], ids=lambda layer: layer["type"])
@pytest.mark.parametrize("norm", [[], [LAYER_NORM]], ids=["plain", "layer_norm"])
def test_zero_inputs_without_bias_have_zero_kernels(
    activation: dict[str, Any], norm: list[Any]
) -> None:
    x = entries((4, 3))
    x[1] = 0
    layers = {"layers": [NO_BIAS, *norm, activation, NO_BIAS]}
    for matrix in kernel_matrix(layers, x).values():
        assert np.isfinite(matrix).all()
        assert (matrix[1] == 0).all()
        assert (np.delete(np.diag(matrix), 1) > 0).all()


@pytest.mark.parametrize("mechanism", ["softmax", "relu", "abs", "identity"])
def test_attention_to_zero_tokens(mechanism: str) -> None:
    x = entries((3, 4, 2))
    x[0], x[1, 2] = 0, 0
    layers = {"layers": [attention(mechanism, b_std=0.0), RELU, POOL]}
    for matrix in kernel_matrix(layers, x).values():
        assert np.isfinite(matrix).all()
        assert (matrix[0] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mixing", [[], [attention(qk_std=0.0, b_std=0.0)]], ids=["pool", "attend"])
def test_what_cancels_has_a_variance_of_zero_not_less(mixing: list[Any], dtype: str) -> None:
    """The mean over positions of a centred series is zero, and its square rounds to either side."""
    x = entries((8, 16, 1))
    x -= x.mean(1, keepdims=True)
    after = [RELU, POOL] if mixing else [POOL, RELU]
    result = kernel_matrix({"layers": [NO_BIAS, *mixing, *after, NO_BIAS]}, x, dtype=dtype)
    assert np.abs(result["nngp"]).max() < 1e-6


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_homogeneous_networks_scale(scale: float) -> None:
    x = entries((6, 5))
    plain, scaled = kernel_matrix(HOMOGENEOUS, x), kernel_matrix(HOMOGENEOUS, x * scale)
    for output, matrix in plain.items():
        size = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        error = np.abs(scaled[output] / np.float32(scale) ** 2 - matrix) / size
        assert error.max() < 1e-5


def test_duplicates_agree_with_themselves() -> None:
    x = np.repeat(entries((3, 5, 4)), 2, axis=0)
    layers = {"layers": [conv(3), RELU, dense(), RELU, dense(), RELU, FLATTEN, dense()]}
    result = kernel_matrix(layers, x)
    exact = kernel_matrix(layers, x, dtype="float64")
    for output, bound in (("nngp", 1e-5), ("ntk", 1e-3)):
        matrix = result[output]
        for i in (0, 2, 4):
            # A duplicate is another input: its correlation is one up to rounding, and the
            # derivative kernel has a square root there.
            assert matrix[i, i + 1] == pytest.approx(matrix[i, i], rel=bound)
        np.testing.assert_allclose(np.diag(matrix), np.diag(exact[output]), rtol=2e-6)


def test_diagonals_are_exact_at_any_depth() -> None:
    layers = {"layers": [dense(2**0.5, 0.0), *[RELU, dense(2**0.5, 0.0)] * 20]}
    x = entries((5, 8))
    result = kernel_matrix(layers, x)
    variance = 2 * (x**2).mean(1)
    # He initialisation keeps the variance; the tangent kernel gains one variance a layer.
    np.testing.assert_allclose(np.diag(result["nngp"]), variance, rtol=1e-5)
    np.testing.assert_allclose(np.diag(result["ntk"]), 21 * variance, rtol=1e-5)


@pytest.mark.parametrize("activation", [ERF, GELU], ids=lambda layer: layer["type"])
@pytest.mark.parametrize("scale", [1e-4, 1e4, 1e10])
def test_smooth_activations_at_extreme_scales(activation: dict[str, Any], scale: float) -> None:
    layers = {"layers": [dense(1.0, 0.0), activation, dense(1.0, 0.0)]}
    x = entries((5, 4)) * scale
    result = kernel_matrix(layers, x)
    exact = kernel_matrix(layers, x, dtype="float64")
    for output, matrix in result.items():
        size = np.sqrt(np.outer(np.diag(exact[output]), np.diag(exact[output])))
        assert (np.abs(matrix - exact[output]) / size).max() < 1e-5


def test_sharp_attention_does_not_overflow() -> None:
    layers = {"layers": [attention(qk_std=1e6), RELU, POOL]}
    result = kernel_matrix(layers, entries((3, 4, 2)) * 100)
    exact = kernel_matrix(layers, entries((3, 4, 2)) * 100, dtype="float64")
    for output, matrix in result.items():
        np.testing.assert_allclose(matrix, exact[output], rtol=1e-4)


def test_overflow_says_what_to_do() -> None:
    layers = {"layers": [dense(1e8), RELU, dense(1e8), RELU, dense(1e8)]}
    with pytest.raises(NumericsError, match="float64"):
        kernel_matrix(layers, entries((3, 4)))
    assert np.isfinite(kernel_matrix(layers, entries((3, 4)), dtype="float64")["ntk"]).all()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("method", [{"type": "exact"}, {"type": "monte_carlo", "width": 4}])
def test_float64_is_not_advised_where_it_is_too_narrow(method: dict[str, Any]) -> None:
    layers, x = {"layers": [dense(), RELU, dense()]}, np.array([[1e308, 1.0]])
    with pytest.raises(NumericsError, match="smaller inputs or stds") as caught:
        kernel_matrix(layers, x, dtype="float64", method=method)
    assert "ask for float64" not in str(caught.value)


EXP = {"type": "exp"}
BLAMED: dict[str, tuple[list[Any], tuple[int, ...], str, bool]] = {
    "flatten": ([conv(3, 3), EXP, conv(3, 3), FLATTEN, dense()], (2, 6, 6, 3), "1 .*exp", False),
    "read out": ([dense(), EXP, dense(), POOL, dense()], (2, 6, 3), "1 .*exp", True),
    "linear": ([dense(), dense(1e18), POOL, dense()], (2, 6, 3), "1 .*dense", False),
    "every pair": ([conv(3), EXP, conv(3), POOL], (2, 6, 3), "1 .*exp", True),
    "vectors": ([dense(), EXP, dense(), RELU, dense()], (2, 3), "1 .*exp", False),
}


@pytest.mark.parametrize("name", BLAMED)
def test_the_layer_is_named_without_blocks_that_the_kernel_does_not_take(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, shape, blamed, every_pair = BLAMED[name]
    sizes: list[int] = []

    def noted(*arguments: Any) -> Any:
        made = _computed(*arguments)
        sizes.append(max(kernel.size for kernel in made.values.values()))
        return made

    monkeypatch.setattr(tile, "_computed", noted)
    with pytest.raises(NumericsError, match=rf"layer {blamed}"):
        kernel_matrix({"layers": layers}, 30 * entries(shape))
    whole, *parts = sizes
    assert whole == 4
    assert (max(parts) > 1) == every_pair


def test_products_of_long_inputs_are_right_in_float32() -> None:
    """Above 128 positions XLA computes them otherwise (kernels/compiler_options.py)."""
    x, mask = entries((2, 205, 4)), np.arange(205) < np.array([[190], [205]])
    layers = {"layers": [conv(9, padding="valid"), RELU, attention(qk_std=2.0), RELU, POOL]}
    single, double = (
        kernel_matrix(layers, x, mask1=mask, dtype=dtype) for dtype in ("float32", "float64")
    )
    for output, expected in double.items():
        np.testing.assert_allclose(single[output], expected, atol=1e-6 * expected.max())
