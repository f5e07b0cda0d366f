"""The means of products of features, against integrals, up to correlations of plus and minus one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.mechanisms.elu_moment import elu_plus_one_moment
from kernels.mechanisms.mills import mills_one, mills_two
from kernels.mechanisms.relu_moment import relu_correlation
from kernels.mechanisms.sine import sine
from tests.oracles.feature_moments import feature_moments

Array = np.ndarray[Any, Any]
VARIANCES = [1e-6, 0.1, 1.0, 16.0, 256.0, 1e4, 1e6, 1e8]
ROUNDING = {"float32": 5e-7, "float64": 1e-12}


def covariance(variance: float) -> Array:
    """Of tokens that are random, nearly the same, nearly opposite, tiny, and zero."""
    x = np.random.default_rng(0).normal(size=(14, 4))
    x[1] = x[0] * (1 + 1e-7)
    x[2] = -x[0] * (1 - 1e-5) + 1e-6 * x[3]
    x[4] = x[5]
    x[6] = -x[7]
    x[8] = 1e-3 * x[9]
    x[10] = 0
    x[11] = -x[12] - 1e-3 * x[13]
    return x @ x.T * variance / 4


def expected(feature_map: str, cov: Array) -> Array:
    own = np.broadcast_to(np.diag(cov), cov.shape)
    return feature_moments(feature_map, own.T, own, cov)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("variance", VARIANCES)
def test_elu_plus_one_is_the_integral(variance: float, dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        cov = covariance(variance).astype(dtype)
        kappa = expected("elu_plus_one", cov.astype(np.float64))
        found = np.asarray(elu_plus_one_moment(jnp.asarray(cov)))
    assert found.dtype == dtype
    own = np.sqrt(np.diag(kappa))
    assert (np.abs(found - kappa) / np.outer(own, own)).max() < ROUNDING[dtype]


def test_its_diagonal_is_the_second_moment() -> None:
    """E[phi^2] = E[(1 + u)^2; u > 0] + E[exp(2 u); u < 0], with nothing singular about it."""
    from scipy.special import erfcx

    variance = np.array([0.0, 1e-9, 0.3, 1.0, 40.0, 1e4, 1e6])
    with jax.enable_x64(True):
        found = np.diag(elu_plus_one_moment(jnp.asarray(np.diag(variance))))
    std = np.sqrt(variance)
    square = (1 + variance) / 2 + 2 * std / np.sqrt(2 * np.pi) + erfcx(std * np.sqrt(2)) / 2
    np.testing.assert_allclose(found, square, rtol=1e-13)


def test_a_constant_is_what_is_left_without_variance() -> None:
    """phi(0) = 1, so a zero token's moments are the others' means."""
    from scipy.special import erfcx

    variance = np.array([0.0, 0.2, 3.0])
    with jax.enable_x64(True):
        found = np.asarray(elu_plus_one_moment(jnp.asarray(np.diag(variance))))[0]
    std = np.sqrt(variance)
    mean = 0.5 + std / np.sqrt(2 * np.pi) + erfcx(std / np.sqrt(2)) / 2
    np.testing.assert_allclose(found, mean, rtol=1e-13)


@pytest.mark.parametrize("dtype", ROUNDING)
def test_relu_is_the_integral(dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        cov = covariance(1.0).astype(dtype)
        found = np.asarray(relu_correlation(jnp.asarray(cov)))
    exact = cov.astype(np.float64)
    kappa, own = expected("relu", exact), np.sqrt(np.diag(exact) / 2)
    alive = np.outer(own, own) > 0
    scale = np.where(alive, np.outer(own, own), 1)
    assert np.abs(np.where(alive, found, 0) - kappa / scale).max() < ROUNDING[dtype]


def test_nearly_opposite_tokens_keep_their_relu_digits() -> None:
    """sin w - w cos w is w^3 / 3 there, far below the rounding of either term."""
    w = np.array([1e-3, 0.03, 0.3, 0.49, 0.51, 2.0])
    for angle in w:
        cov = np.array([[1.0, -np.cos(angle)], [-np.cos(angle), 1.0]])
        with jax.enable_x64(True):
            found = float(relu_correlation(jnp.asarray(cov))[0, 1])
        series = sum(
            (-1) ** (k + 1) * 2 * k * angle ** (2 * k + 1) / np.prod(np.arange(1.0, 2 * k + 2))
            for k in range(1, 14)
        )
        # The covariance itself is rounded: an angle of 1e-3 from pi has ten digits left.
        assert found == pytest.approx(series / np.pi, rel=1e-9)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("float64", 2e-13)])
@pytest.mark.parametrize(("order", "function"), [(1, mills_one), (2, mills_two)])
def test_mills_integrals(order: int, function: Any, dtype: str, error: float) -> None:
    p = np.concatenate([[0.0], np.logspace(-4, 6, 200)]).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        found = np.asarray(function(jnp.asarray(p)), np.float64)
    exact = p.astype(np.float64)[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(300)
    reach = np.minimum(13.0, 80 / np.maximum(exact, 1e-300))
    r = reach * (nodes + 1)[None, :] / 2
    integral = (r**order * np.exp(-(r**2) / 2 - r * exact) * reach / 2) @ weights
    assert np.abs(found / integral - 1).max() < error


@pytest.mark.parametrize(("dtype", "error"), [("float32", 3e-7), ("float64", 3e-15)])
def test_sines_between_zero_and_pi(dtype: str, error: float) -> None:
    angle = np.concatenate([[0.0], np.logspace(-9, np.log10(np.pi / 2), 300)])
    with jax.enable_x64(dtype == "float64"):
        near, far = jnp.asarray(angle.astype(dtype)), jnp.asarray((np.pi - angle).astype(dtype))
        acute, obtuse = np.asarray(sine(near, far)), np.asarray(sine(far, near))
    exact = np.sin(np.asarray(near, np.float64))
    assert (np.abs(acute - exact) <= error * exact).all()
    np.testing.assert_array_equal(obtuse, acute)
