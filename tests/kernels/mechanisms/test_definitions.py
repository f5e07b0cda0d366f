"""Mixing matrices against the definitions of tests/oracles, on awkward logits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.mechanisms.sparsemax import sparsemax_rows
from kernels.mechanisms.triangular import unit_lower_inverse
from kernels.registry import Attention
from tests.oracles.mechanisms import mixing

Array = np.ndarray[Any, Any]
Mechanism = str | dict[str, Any]

DPFP = {"type": "dpfp", "nu": 2}
MECHANISMS: dict[str, Mechanism] = {
    "sparsemax": "sparsemax",
    "l2": "l2",
    "linear": "linear",
    "linear_relu": {"type": "linear", "feature_map": "relu"},
    "linear_dpfp": {"type": "linear", "feature_map": DPFP},
    "linear_relu_sums": {"type": "linear", "feature_map": "relu", "normalize": False},
    "linear_elu_sums": {"type": "linear", "normalize": False},
    "linear_dpfp_sums": {"type": "linear", "feature_map": "dpfp", "normalize": False},
    "delta": "delta",
    "delta_relu": {"type": "delta", "feature_map": "relu", "beta": 1.7},
    "delta_elu": {"type": "delta", "feature_map": "elu_plus_one", "beta": 0.2},
}
SIZE = 9


def logits(scale: float, mask: Array | None) -> Array:
    """Those of random tokens, one zero, two the same, two opposite; zero where masked."""
    x = np.random.default_rng(1).normal(size=(SIZE, 4)) * scale
    x[3], x[4], x[6] = 0, x[5], -x[7]
    if mask is not None:
        x[~mask] = 0
    return x @ x.T


def visibility(mask: Array | None, causal: bool) -> Array:
    visible = np.ones((SIZE, SIZE), bool) if mask is None else np.tile(mask, (SIZE, 1))
    return np.tril(visible) if causal else visible


def found(mechanism: Mechanism, scores: Array, visible: Array | None, dtype: str) -> Array:
    """A as an attention layer of that mechanism makes it."""
    made, numbers = Attention.model_validate({"mechanism": mechanism}).mechanism.split()
    with jax.enable_x64(dtype == "float64"):
        given = {name: jnp.asarray(value, dtype) for name, value in numbers.items()}
        seen = None if visible is None else jnp.asarray(visible)
        mixed = compiled(made)(jnp.asarray(scores.astype(dtype)), seen, given)
        assert mixed.write is None
        assert mixed.error is None
        return np.asarray(mixed.read)


@lru_cache
def compiled(structure: Any) -> Any:
    return jax.jit(structure.mixing)


HOLES = np.array([False, True, True, True, False, True, True, True, False])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 5.0])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, HOLES], ids=["all", "holes"])
@pytest.mark.parametrize("name", MECHANISMS)
def test_it_is_the_definition(name: str, mask: Array | None, causal: bool, scale: float) -> None:
    mechanism, scores = MECHANISMS[name], logits(scale, mask)
    causal = causal or name.startswith("delta")
    visible = visibility(mask, causal)
    expected = mixing(mechanism, scores, visible)
    given = None if mask is None and not causal else visible
    real = np.ones(SIZE, bool) if mask is None else mask
    size = np.abs(expected[real]).max()
    # Rows of masked queries are zeroed by the layer, whatever they are here.
    for dtype, error in (("float64", 1e-12), ("float32", 1e-5)):
        matrix = found(mechanism, scores, given, dtype)
        assert matrix.dtype == dtype
        assert np.isfinite(matrix).all()
        assert np.abs(matrix[real] - expected[real]).max() < error * size
        if given is not None:
            assert (matrix[~given] == 0).all()


@pytest.mark.parametrize("name", ["sparsemax", "l2", "linear", "linear_relu", "linear_dpfp"])
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e3])
def test_rows_of_float32_sum_to_one_at_any_scale(name: str, scale: float) -> None:
    matrix = found(MECHANISMS[name], logits(scale, None), None, "float32")
    alive = np.ones(SIZE, bool)
    if "relu" in name or "dpfp" in name:
        alive[3] = False
        assert (matrix[3] == 0).all()
        assert (matrix[:, 3] == 0).all()
    np.testing.assert_allclose(matrix.sum(1)[alive], 1, rtol=2e-6)
    assert (matrix >= 0).all()


@pytest.mark.parametrize("name", ["linear_relu", "linear_dpfp", "delta", "delta_relu"])
def test_what_qk_std_scales_is_divided_out(name: str) -> None:
    scores = logits(1.0, None)
    visible = visibility(None, causal=True)
    one, other = (found(MECHANISMS[name], c * scores, visible, "float64") for c in (1.0, 37.0))
    np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("nu", [1, 2, 5])
def test_nu_leaves_the_limit_alone(nu: int) -> None:
    for kind in ("linear", "delta"):
        spec = {"type": kind, "feature_map": {"type": "dpfp", "nu": nu}}
        visible = visibility(None, causal=True)
        np.testing.assert_array_equal(
            found(spec, logits(1.0, None), visible, "float64"),
            found({"type": kind, "feature_map": "dpfp"}, logits(1.0, None), visible, "float64"),
        )


@pytest.mark.parametrize("feature_map", ["relu", "elu_plus_one", "dpfp"])
def test_beta_of_one_is_the_identity(feature_map: str) -> None:
    spec = {"type": "delta", "feature_map": feature_map, "beta": 1.0}
    matrix = found(spec, logits(1.0, None), visibility(None, causal=True), "float64")
    alive = np.ones(SIZE)
    alive[3] = feature_map == "elu_plus_one"  # phi(0) = 0 of the others writes and reads nothing
    np.testing.assert_array_equal(matrix, np.diag(alive))


def test_l2_on_one_variance_is_softmax_of_twice_the_logits() -> None:
    x = np.random.default_rng(2).normal(size=(SIZE, 4))
    x /= np.linalg.norm(x, axis=1)[:, None]
    np.testing.assert_allclose(
        found("l2", x @ x.T, None, "float64"),
        found("softmax", 2 * x @ x.T, None, "float64"),
        rtol=1e-13,
    )


class TestSparsemax:
    """The projection on the simplex, which has exact zeros and ties."""

    def rows(self, scores: Any, visible: Any = None, dtype: str = "float64") -> Array:
        with jax.enable_x64(dtype == "float64"):
            seen = None if visible is None else jnp.asarray(visible)
            return np.asarray(sparsemax_rows(jnp.asarray(np.array(scores, dtype)), seen))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_by_hand(self, dtype: str) -> None:
        scores = [[0, 0, 0, 0], [1, 1, 0, 0], [3, 2, 1, 0], [0.5, 0.25, -9, 0.5], [7, 7, 7, 6.75]]
        expected = [
            [0.25, 0.25, 0.25, 0.25],
            [0.5, 0.5, 0, 0],
            [1, 0, 0, 0],
            [5 / 12, 1 / 6, 0, 5 / 12],
            [0.3125, 0.3125, 0.3125, 0.0625],
        ]
        np.testing.assert_allclose(self.rows(scores, dtype=dtype), expected, rtol=1e-6)
        zeros = np.array(expected) == 0
        assert (self.rows(scores, dtype=dtype)[zeros] == 0).all()

    def test_what_is_not_seen_takes_no_part(self) -> None:
        visible = np.array([[True, True, False], [False, False, False], [False, True, False]])
        weights = self.rows([[0.1, 0.4, 9], [1, 2, 3], [9, -5, 9]], visible)
        np.testing.assert_allclose(weights, [[0.35, 0.65, 0], [0, 0, 0], [0, 1, 0]], rtol=1e-14)

    def test_no_other_point_of_the_simplex_is_nearer(self) -> None:
        generator = np.random.default_rng(3)
        scores = generator.normal(size=(50, 12)) * generator.choice([0.1, 1, 10], size=(50, 1))
        weights = self.rows(scores)
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-14)
        others = generator.dirichlet(np.full(12, 0.3), size=200)
        # The projection's obtuse angle: (z - p) . (q - p) <= 0 for every q of the simplex.
        products = ((scores - weights)[:, None] * (others[None] - weights[:, None])).sum(2)
        assert products.max() < 1e-12

    def test_huge_float32_scores(self) -> None:
        scores = 1e10 * logits(1.0, None)
        weights = self.rows(scores, dtype="float32")
        assert np.isfinite(weights).all()
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)

    def test_its_derivative_is_that_of_the_support(self) -> None:
        """J = diag(s) - s s^T / |s|, s marking what has weight."""
        scores = np.array([[0.3, -0.1, 0.2, -2.0]])
        with jax.enable_x64(True):
            jacobian = jax.jacobian(lambda z: sparsemax_rows(z, None)[0])(jnp.asarray(scores))
        support = (self.rows(scores)[0] > 0).astype(float)
        assert support.tolist() == [1, 1, 1, 0]
        expected = np.diag(support) - np.outer(support, support) / 3
        np.testing.assert_allclose(jacobian[:, 0], expected, atol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13, 32, 45])
def test_triangular_inverses(size: int) -> None:
    strictly = np.tril(np.random.default_rng(size).normal(size=(size, size)), -1)
    with jax.enable_x64(True):
        inverse = np.asarray(jax.jit(unit_lower_inverse)(jnp.asarray(strictly)))
    np.testing.assert_array_equal(np.triu(inverse), np.eye(size))
    scale = np.abs(inverse).max()
    residual = inverse @ (np.eye(size) + strictly) - np.eye(size)
    assert np.abs(residual).max() < 1e-14 * size * scale


@pytest.mark.parametrize("beta", [0.5, 1.99])
def test_the_delta_rule_keeps_its_digits_on_nearly_collinear_keys(beta: float) -> None:
    generator = np.random.default_rng(4)
    x = 0.02 * generator.normal(size=(120, 8)) + generator.normal(size=(1, 8))
    scores, visible = x @ x.T, np.tril(np.ones((120, 120), bool))
    spec: Mechanism = {"type": "delta", "feature_map": "relu", "beta": beta}
    double, single = (found(spec, scores, visible, dtype) for dtype in ("float64", "float32"))
    exact = mixing(spec, scores, visible)
    assert np.abs(double - exact).max() < 1e-11
    # float32 logits of nearly equal tokens already round 1 - rho of 1e-3 to 1e-4 of itself.
    assert np.abs(single - exact).max() < 1e-3
