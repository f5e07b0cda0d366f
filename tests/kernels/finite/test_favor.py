"""FAVOR+: unbiased features, orthogonal projections, attention without its matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.finite.favor import (
    VARIANTS,
    Variant,
    favor_attention,
    favor_mixing,
    projections,
    random_features,
)
from kernels.finite.l2_attention import causally


def tokens(dtype: str, scale: float = 1.0, length: int = 12) -> tuple[jax.Array, ...]:
    keys = jax.random.split(jax.random.key(2), 3)
    q, k, v = (jax.random.normal(key, (length, 8), dtype) for key in keys)
    return scale * q, scale * k, v


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_products_of_features_average_to_the_exponential(
    variant: Variant, orthogonal: bool
) -> None:
    with jax.enable_x64(True):
        x = 0.5 * jax.random.normal(jax.random.key(0), (4, 5), "float64")

        def products(key: jax.Array) -> jax.Array:
            w = projections(key, 7, 5, orthogonal, "float64")
            features, scale = random_features(x, w, variant)
            whole = features * jnp.exp(scale)[:, None]
            return whole @ whole.T

        found = np.asarray(jax.vmap(products)(jax.random.split(jax.random.key(1), 8000)))
    error, rows = found.std(0) / np.sqrt(len(found)), np.asarray(x)
    assert (np.abs(found.mean(0) - np.exp(rows @ rows.T)) <= 4.5 * error + 1e-10).all()


def test_orthogonal_projections() -> None:
    with jax.enable_x64(True):
        w = np.asarray(projections(jax.random.key(0), 13, 5, True, "float64"))
        keys = jax.random.split(jax.random.key(1), 4000)
        many = np.asarray(jax.vmap(lambda k: projections(k, 6, 3, True, "float64"))(keys))
    assert w.shape == (13, 5)
    for start in (0, 5, 10):
        group = w[start : start + 5]
        product = group @ group.T
        np.testing.assert_allclose(product, np.diag(np.diag(product)), atol=1e-12)
    # Each row alone is a standard normal vector: mean, covariance, and fourth moment of the norm.
    for row in (many[:, 0], many[:, 5]):
        np.testing.assert_allclose(row.mean(0), 0, atol=0.08)
        np.testing.assert_allclose(np.cov(row.T), np.eye(3), atol=0.12)
        assert ((row**2).sum(1) ** 2).mean() == pytest.approx(15, rel=0.08)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_attention_is_that_of_its_matrix(variant: Variant, dtype: str) -> None:
    rtol = 1e-11 if dtype == "float64" else 2e-4
    with jax.enable_x64(dtype == "float64"):
        q, k, v = tokens(dtype, 0.7)
        w = projections(jax.random.key(3), 64, 8, dtype=dtype)
        for causal in (False, True):
            seen = causally(len(q)) if causal else None
            expected = jnp.matmul(favor_mixing(q, k, w, variant, seen), v)
            found = favor_attention(q, k, v, w, variant, causal)
            np.testing.assert_allclose(found, expected, rtol, rtol)


@pytest.mark.parametrize("causal", [pytest.param(True, marks=pytest.mark.slow), False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_many_features_are_softmax_attention(variant: Variant, causal: bool) -> None:
    with jax.enable_x64(True):
        q, k, v = tokens("float64", 0.4)
        logits = q @ k.T / 8**0.5
        logits = jnp.where(causally(len(q)), logits, -jnp.inf) if causal else logits
        exact = jax.nn.softmax(logits, axis=1) @ v

        def error(count: int) -> float:
            def squared(key: jax.Array) -> jax.Array:
                w = projections(key, count, 8, dtype="float64")
                return ((favor_attention(q, k, v, w, variant, causal) - exact) ** 2).mean()

            return float(jax.vmap(squared)(jax.random.split(jax.random.key(7), 64)).mean() ** 0.5)

        few, many = error(64), error(1024)
    assert many < 0.05
    assert 0.18 < many / few < 0.36  # sqrt(64 / 1024) = 0.25


def test_large_inputs_neither_overflow_nor_vanish() -> None:
    q, k, v = tokens("float32", 30.0)
    w = projections(jax.random.key(3), 64, 8)
    for variant in ("positive", "hyperbolic"):
        found = favor_attention(q, k, v, w, variant)
        assert np.isfinite(found).all()
        assert (np.abs(found) <= np.abs(v).max() * 1.001).all()
