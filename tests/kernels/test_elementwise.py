"""Activations without a closed form, against the two-dimensional integral."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import erf, expit, log_expit

from kernels.errors import NumericsError
from kernels.matrix import kernel_matrix

Function = Callable[[np.ndarray], np.ndarray]


def _softplus(x: np.ndarray) -> np.ndarray:
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
}


def network(fn: str, w_std: float = 1.0, **more: Any) -> dict[str, Any]:
    layers = [{"type": "dense", "w_std": w_std}, {"type": "elementwise", "fn": fn, **more}]
    return {"layers": layers}


def mean(f: Function, cov: np.ndarray) -> float:
    """E[f(u) f(v)] by the trapezoidal rule, spectrally accurate for functions smooth on its step."""
    z, step = np.linspace(-10, 10, 801, retstep=True)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * step
    lower = np.linalg.cholesky(cov + 1e-15 * np.eye(2))
    u = lower[0, 0] * z[:, None]
    v = lower[1, 0] * z[:, None] + lower[1, 1] * z[None, :]
    return float(weight @ (f(u) * f(v)) @ weight)


@pytest.mark.parametrize("fn", FUNCTIONS)
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


@pytest.mark.parametrize("fn", ["elu", "softsign"])
def test_a_kink_is_integrated_where_inputs_differ(fn: str) -> None:
    """The expansion of a function with a kink ends early, but well apart its rest is nothing."""
    x = np.array([[1.0, 0.2, -0.3], [-0.4, 0.8, 0.5]])
    cov = x @ x.T / 3
    value = kernel_matrix(network(fn), x, dtype="float64")["nngp"][0, 1]
    samples = np.random.default_rng(3).multivariate_normal(np.zeros(2), cov, 1_000_000)
    f = samples / (1 + np.abs(samples))
    if fn == "elu":
        f = np.where(samples > 0, samples, np.expm1(np.minimum(samples, 0)))
    products = f[:, 0] * f[:, 1]
    assert abs(value - products.mean()) < 5 * products.std() / 1000


def test_what_does_not_converge_is_an_error_that_names_the_layer() -> None:
    x = np.array([[100.0, 20.0], [100.01, 20.0]])
    with pytest.raises(NumericsError, match=r"layer 1 .*\(elementwise\).*degree"):
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
