"""At the ends of a dtype's range: what is in it is right, and what leaves it is an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.errors import NumericsError
from kernels.matrix import kernel_matrix
from tests.kernels.networks import Layer

DENSE: Layer = {"type": "dense"}
POOL: Layer = {"type": "global_avg_pool"}
X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize("form", ["matrix", "diagonal"])
@pytest.mark.parametrize(
    "layer", [{"type": "relu"}, {"type": "sign"}, {"type": "erf"}, {"type": "layer_norm"}]
)
def test_a_variance_that_overflows_is_an_error_also_where_no_kernel_does(
    layer: Layer, form: Any
) -> None:
    """K(x, x') fits into float32 for inputs of 1e20 with others of 1; K(x, x) does not."""
    with pytest.raises(NumericsError, match=r"layer 1 of the canonical form|leaves the range"):
        kernel_matrix({"layers": [DENSE, layer, DENSE]}, 1e20 * X, X, form=form)


@pytest.mark.parametrize(
    "mechanism",
    [
        "softmax",
        "sparsemax",
        "relu",
        "l2",
        {"type": "delta", "feature_map": "elu_plus_one"},
        {"type": "linear", "feature_map": "elu_plus_one"},
    ],
)
def test_logits_that_overflow_are_an_error_and_not_attention_to_nothing(mechanism: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    attention = {"type": "attention", "mechanism": mechanism, "qk_std": 1e25}
    with pytest.raises(NumericsError):
        kernel_matrix({"layers": [DENSE, attention, POOL]}, 1e10 * x)


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-8])
def test_waves_of_small_variances_keep_their_digits(
    dtype: str, allowed: float, scale: float
) -> None:
    """E[sin u sin v] = exp(-(p + q) / 2) sinh(k), of which exponentials near 1 leave nothing."""
    k = kernel_matrix({"layers": [DENSE]}, scale * X, dtype="float64")["nngp"]
    p = np.diagonal(k)
    sines = np.exp(-(p[:, None] + p) / 2) * np.sinh(k)
    sin = kernel_matrix({"layers": [DENSE, {"type": "sin"}]}, scale * X, dtype=dtype)["nngp"]
    cos = kernel_matrix({"layers": [DENSE, {"type": "cos"}]}, scale * X, dtype=dtype)["ntk"]
    for found, expected in ((sin, sines), (cos, sines * k)):
        own = np.sqrt(np.diagonal(expected))
        assert np.abs((found - expected) / np.outer(own, own)).max() < allowed


@pytest.mark.parametrize("form", ["matrix", "diagonal"])
def test_kernels_below_the_range_are_an_error_and_not_zero(form: Any) -> None:
    low = {"layers": [{"type": "dense", "w_std": 1e-20}, {"type": "relu"}, DENSE]}
    with pytest.raises(NumericsError, match=r"\de-4[12], which float32 takes for zero"):
        kernel_matrix(low, X, form=form)
    assert np.diagonal(kernel_matrix(low, X, dtype="float64")["nngp"]).min() > 0


def test_an_input_that_vanishes_below_a_sign_is_an_error_and_not_zero() -> None:
    x = np.array([[2e-19], [6e-20]])
    network = {"layers": [DENSE, {"type": "sign"}]}
    with pytest.raises(NumericsError, match="itself is 1, which float32 takes for zero"):
        kernel_matrix(network, x)
    np.testing.assert_array_equal(kernel_matrix(network, x, dtype="float64")["nngp"], 1)


def test_kernels_that_are_zero_by_design_stay_zero() -> None:
    silent = {"layers": [{"type": "dense", "w_std": 0.0}, {"type": "relu"}, DENSE]}
    assert not kernel_matrix(silent, X)["nngp"].any()
    assert not kernel_matrix({"layers": [DENSE, {"type": "relu"}]}, 0 * X)["ntk"].any()


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-11])
def test_positions_that_cancel_leave_zero_up_to_rounding_and_no_error(scale: float) -> None:
    """Of an odd function, and of each input its opposite: whether sums end in 0 or beside it is chance."""
    network = {"layers": [DENSE, {"type": "sin"}, POOL]}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        half = rng.normal(size=(1, 2, 7))
        x = scale * np.concatenate([half, -half], 1)[:, rng.permutation(4)]
        for kernel in kernel_matrix(network, x).values():
            assert np.abs(kernel).max() < 1e-6 * scale**2


def test_a_decay_shorter_than_float32_knows_is_the_indicator() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 2))

    def kernel(decay: Any) -> np.ndarray:
        attention = {"type": "attention", "positional": {"merge": "sum", "decay": decay}}
        return kernel_matrix({"layers": [DENSE, attention, POOL]}, x)["nngp"]

    expected = kernel({"type": "indicator"})
    for kind in ("rational", "exponential"):
        np.testing.assert_array_equal(kernel({"type": kind, "length": 1e-60}), expected)


def test_layer_norm_of_large_variances_has_ones_on_its_diagonal() -> None:
    x = np.array([[1e19], [-1e19], [3.3e18]])
    found = kernel_matrix({"layers": [DENSE, {"type": "layer_norm"}]}, x)["nngp"]
    np.testing.assert_allclose(found, [[1, -1, 1], [-1, 1, -1], [1, -1, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "large", "small"), [("float32", 63, -60), ("float64", 511, -505)]
)
def test_layer_norm_over_positions_does_not_add_variances_up(
    dtype: str, large: int, small: int
) -> None:
    """Each variance fits into the dtype, and the sum over positions does not; both sides differ."""
    norm = {"type": "layer_norm", "axes": ["channel", "spatial"], "eps": 0.0}
    network = {"layers": [DENSE, norm, DENSE, {"type": "relu"}, POOL]}
    x = np.sign(np.random.default_rng(0).normal(size=(3, 4, 2))) * [1.0, 1.25]
    one = kernel_matrix(network, x, -x, dtype=dtype)
    for exponent in (large, small):
        found = kernel_matrix(network, np.ldexp(x, exponent), np.ldexp(-x, exponent), dtype=dtype)
        for name, kernel in found.items():
            np.testing.assert_allclose(kernel, one[name], rtol=1e-6)


def test_finite_networks_normalise_inputs_whose_squares_overflow() -> None:
    network = {"layers": [DENSE, {"type": "layer_norm", "eps": 0.0}, DENSE]}
    method = {"type": "monte_carlo", "width": 16, "samples": 4}
    one, large, small = (
        kernel_matrix(network, size * X, method=method, outputs=("nngp",))["nngp"]
        for size in (1.0, 1e19, 1e-18)
    )
    np.testing.assert_allclose(large, one, rtol=1e-5)
    np.testing.assert_allclose(small, one, rtol=1e-5)
