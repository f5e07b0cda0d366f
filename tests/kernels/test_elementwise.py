"""Activations without a closed form, against the two-dimensional integral."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import erf, expit, log_expit

from kernels.architecture import parse_architecture
from kernels.errors import NumericsError
from kernels.matrix import kernel_matrix
from tests.oracles.conditional import mean_of_product

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]


def _softplus(x: Array) -> np.ndarray:
    return np.logaddexp(x, 0)


FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (expit, lambda x: expit(x) * expit(-x)),
    "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "softplus": (_softplus, expit),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "log_sigmoid": (log_expit, lambda x: expit(-x)),
    "mish": (
        lambda x: x * np.tanh(_softplus(x)),
        lambda x: np.tanh(_softplus(x)) + x * expit(x) * (1 - np.tanh(_softplus(x)) ** 2),
    ),
    "elu": (
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.exp(np.minimum(x, 0)),
    ),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
}


def network(fn: str, w_std: float = 1.0, **more: Any) -> dict[str, Any]:
    layers = [{"type": "dense", "w_std": w_std}, {"type": "elementwise", "fn": fn, **more}]
    return {"layers": layers}


def mean(f: Function, cov: Array) -> float:
    """E[f(u) f(v)] by the trapezoidal rule, spectrally accurate for functions smooth on its step."""
    z, step = np.linspace(-10, 10, 801, retstep=True)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * step
    lower = np.linalg.cholesky(cov + 1e-15 * np.eye(2))
    u = lower[0, 0] * z[:, None]
    v = lower[1, 0] * z[:, None] + lower[1, 1] * z[None, :]
    return float(weight @ (f(u) * f(v)) @ weight)


@pytest.mark.parametrize("fn", sorted(set(FUNCTIONS) - {"elu", "softsign"}))
@pytest.mark.parametrize("w_std", [0.3, 1.0, 2.0])
def test_it_is_the_integral(fn: str, w_std: float) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    below = w_std**2 * x @ x.T / 3
    result = kernel_matrix(network(fn, w_std), x, dtype="float64")
    f, derivative = FUNCTIONS[fn]
    scale = np.abs(result["nngp"]).max(), np.abs(result["ntk"]).max()
    for i, j in [(0, 1), (1, 2), (2, 3), (0, 3)]:
        cov = below[np.ix_([i, j], [i, j])]
        value, slope = mean(f, cov), mean(derivative, cov)
        assert abs(result["nngp"][i, j] - value) < 1e-8 * scale[0]
        assert abs(result["ntk"][i, j] - slope * below[i, j]) < 1e-8 * scale[1]


def test_the_diagonal_is_the_second_moment() -> None:
    x = np.random.default_rng(1).normal(size=(5, 3))
    result = kernel_matrix(network("tanh"), x, dtype="float64")
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    weights = weights / weights.sum()
    own = [np.tanh(np.sqrt(v) * nodes) ** 2 @ weights for v in (x * x).sum(1) / 3]
    np.testing.assert_allclose(np.diag(result["nngp"]), own, rtol=1e-8)


def test_float32_is_as_near_as_its_rounding() -> None:
    x = np.random.default_rng(2).normal(size=(20, 6))
    double, single = (kernel_matrix(network("silu"), x, dtype=d) for d in ("float64", "float32"))
    for output, kernel in double.items():
        own = np.sqrt(np.diag(kernel))
        assert (np.abs(single[output] - kernel) / np.outer(own, own)).max() < 1e-5


def at_correlations(p: float, q: float) -> tuple[Array, Array]:
    """An input of variance p, then one of variance q for each correlation with it that follows."""
    near = 1 - 10.0 ** -np.arange(1, 15)
    rho = np.concatenate([[1.0, 0.5, 0.0], near, -near])
    second = np.stack([rho, np.sqrt((1 - rho) * (1 + rho))], 1)
    return 2**0.5 * np.vstack([[p**0.5, 0.0], q**0.5 * second]), rho


@pytest.mark.parametrize("fn", ["elu", "softsign"])
@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.1, 9.0), (400.0, 1e-4), (2500.0, 2500.0)])
def test_a_kink_is_integrated_at_any_correlation(fn: str, p: float, q: float) -> None:
    x, rho = at_correlations(p, q)
    result = kernel_matrix(network(fn), x[:1], x[1:], dtype="float64")
    slopes = result["ntk"][0] / np.where(rho == 0, 1, rho * np.sqrt(p * q))
    f, derivative = FUNCTIONS[fn]
    for values, function in ((result["nngp"][0], f), (slopes, derivative)):
        scale = np.sqrt(np.prod([mean_of_product(function, v, v, 1.0) for v in (p, q)]))
        for value, correlation in zip(values, rho, strict=True):
            if function is f or correlation != 0:  # the ntk is 0 there, whatever the slope
                exact = mean_of_product(function, p, q, correlation)
                assert abs(value - exact) < 1e-9 * scale


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_near_duplicates_of_large_variance(fn: str) -> None:
    """Where tanh and its like are so steep that they have a kink for all practical purposes."""
    x, rho = at_correlations(900.0, 400.0)
    result = kernel_matrix(network(fn), x[:1], x[1:], dtype="float64")
    f, derivative = FUNCTIONS[fn]
    scales = [
        np.sqrt(mean_of_product(g, 900.0, 900.0, 1.0) * mean_of_product(g, 400.0, 400.0, 1.0))
        for g in (f, derivative)
    ]
    for i in (0, 1, 5, 9, 16, 19, 24):
        value, slope = (mean_of_product(g, 900.0, 400.0, rho[i]) for g in (f, derivative))
        assert abs(result["nngp"][0, i] - value) < 1e-8 * scales[0]
        assert abs(result["ntk"][0, i] - slope * 600 * rho[i]) < 1e-8 * scales[1] * 600


@pytest.mark.parametrize(
    "fn",
    [
        # It takes half a minute.
        pytest.param(fn, marks=pytest.mark.slow) if fn == "arctan" else fn
        for fn in FUNCTIONS
    ],
)
def test_float32_keeps_the_contract_at_any_correlation(fn: str) -> None:
    x, rho = at_correlations(1.0, 4.0)
    x = x.astype(np.float32)
    double, single = (kernel_matrix(network(fn), x, dtype=d) for d in ("float64", "float32"))
    for output, kernel in double.items():
        own = np.sqrt(np.diag(kernel))
        error = (np.abs(single[output] - kernel) / np.outer(own, own))[0, 1:]
        # docs/accuracy.md: the ntk beyond a correlation of 0.999.
        bound = np.where((np.abs(rho) <= 0.999) | (output == "nngp"), 1e-5, 1e-4)
        assert (error <= bound).all(), f"{output}: {error.max():.1e}"


@pytest.mark.parametrize("fn", ["elu", "softsign"])
def test_positions_of_one_input_may_be_near_duplicates(fn: str) -> None:
    """Full blocks of positions, and an input with itself, are what vectors are."""
    tokens, _ = at_correlations(1.0, 2.0)
    x = tokens[:30].reshape(3, 10, 2)
    layers = [*network(fn)["layers"], {"type": "global_avg_pool"}]
    sequences = kernel_matrix({"layers": layers}, x, dtype="float64")
    vectors = kernel_matrix(network(fn), x.reshape(30, 2), dtype="float64")
    for output, kernel in sequences.items():
        pooled = vectors[output].reshape(3, 10, 3, 10).mean((1, 3))
        np.testing.assert_allclose(kernel, pooled, rtol=1e-9)


def test_a_variance_beyond_the_table_is_an_error_that_names_the_layer() -> None:
    x = np.array([[1000.0, 20.0], [3.0, 20.0]])
    with pytest.raises(NumericsError, match=r"layer 1 .*\(elementwise\).*90,000.*degree"):
        kernel_matrix(network("softsign"), x, dtype="float64")
    assert np.isfinite(kernel_matrix(network("softsign", degree=30), x)["nngp"]).all()


def test_a_degree_is_that_gauss_hermite_rule() -> None:
    """The limit of many nodes is the integral; few nodes are what they are."""
    x = np.random.default_rng(4).normal(size=(4, 3))
    exact = kernel_matrix(network("sigmoid"), x, dtype="float64")["nngp"]
    many = kernel_matrix(network("sigmoid", degree=60), x, dtype="float64")["nngp"]
    few = kernel_matrix(network("sigmoid", degree=3), x, dtype="float64")["nngp"]
    np.testing.assert_allclose(many, exact, rtol=1e-9)
    assert np.abs(few - exact).max() > 1e-6


def test_a_degree_is_not_called_exact() -> None:
    layers = [{"type": "dense"}, {"type": "elementwise", "fn": "tanh", "degree": 5}]
    found = parse_architecture({"layers": layers})
    assert found.exactness == "approximate"
    x = np.random.default_rng(0).normal(size=(2, 3))
    (warning,) = kernel_matrix({"layers": layers}, x).warnings
    assert "nor positive semidefinite" in warning


def test_sequences_and_zero_inputs() -> None:
    x = np.random.default_rng(5).normal(size=(3, 4, 2))
    x[0, 1] = 0
    layers = [*network("tanh")["layers"], {"type": "global_avg_pool"}]
    sequences = kernel_matrix({"layers": layers}, x, dtype="float64")["ntk"]
    tokens = kernel_matrix(network("tanh"), x.reshape(12, 2), dtype="float64")["ntk"]
    np.testing.assert_allclose(sequences, tokens.reshape(3, 4, 3, 4).mean((1, 3)), rtol=1e-9)


def test_the_error_function_agrees_with_its_closed_form() -> None:
    """erf is no elementwise function, so this holds the integral above to something exact."""
    x = np.random.default_rng(6).normal(size=(3, 3))
    layers = [{"type": "dense"}, {"type": "erf"}]
    closed = kernel_matrix({"layers": layers}, x, dtype="float64")["nngp"]
    cov = x @ x.T / 3
    assert abs(mean(erf, cov[:2, :2]) - closed[0, 1]) < 1e-10
