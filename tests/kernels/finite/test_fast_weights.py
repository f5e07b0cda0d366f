"""Fast-weight layers: steps against their parallel form, feature maps against their definitions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.errors import SpecError
from kernels.finite.fast_weights import (
    additive_parallel,
    additive_steps,
    delta_parallel,
    delta_steps,
    sum_normalised,
    unit_normalised,
)
from kernels.finite.favor import projections, random_features
from kernels.mechanisms.features import dpfp, elu_plus_one, relu

FEATURES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": relu,
    "elu_plus_one": elu_plus_one,
    "dpfp-1": dpfp,
    "dpfp-3": lambda x: dpfp(x, 3),
    "favor": lambda x: random_features(x, projections(jax.random.key(9), 16, 4), "positive")[0],
}


def tokens(name: str, dtype: str, length: int = 40) -> tuple[jax.Array, ...]:
    """Features of queries and keys, and values; the first key is zero, where maps of zero allow."""
    keys = jax.random.split(jax.random.key(5), 3)
    q, k, v = (jax.random.normal(key, (length, 4), dtype) for key in keys)
    return FEATURES[name](q), FEATURES[name](k.at[0].set(0)), v


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-11), ("float32", 1e-4)])
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("name", FEATURES)
def test_steps_and_parallel_form_agree(name: str, attention: bool, dtype: str, rtol: float) -> None:
    with jax.enable_x64(dtype == "float64"):
        q, k, v = tokens(name, dtype)
        beta = jnp.linspace(0, 1.9, len(v), dtype=dtype)
        pairs = [(additive_steps(q, k, v, attention), additive_parallel(q, k, v, attention))]
        for scaled in (sum_normalised, unit_normalised):
            rule = (scaled(q), scaled(k), v, beta, attention)
            if attention:
                # Reads divided by a small z do not contract for beta near 2.
                rule = (scaled(q), scaled(k), v, beta / 4, attention)
            pairs.append((delta_steps(*rule), delta_parallel(*rule)))
        for steps, parallel in pairs:
            assert np.isfinite(steps).all()
            np.testing.assert_allclose(steps, parallel, rtol, rtol * np.abs(steps).max())


def test_the_delta_rule_by_hand() -> None:
    """W in numpy, one assignment at a time, with both normalisations."""
    rng = np.random.default_rng(0)
    q, k, v = (np.abs(rng.normal(size=(7, 3))) for _ in range(3))
    beta = rng.uniform(size=7)
    for attention in (False, True):
        w, z, expected = np.zeros((3, 3)), np.zeros(3), []
        for t in range(7):
            read = w @ k[t]
            if attention and t:
                read = read / (z @ k[t])
            w, z = w + beta[t] * np.outer(v[t] - read, k[t]), z + k[t]
            expected.append(w @ q[t] / (z @ q[t] if attention else 1))
        with jax.enable_x64(True):
            arguments = [jnp.asarray(a) for a in (q, k, v, beta)]
            for layer in (delta_steps, delta_parallel):
                np.testing.assert_allclose(layer(*arguments, attention), expected, rtol=1e-11)


def test_additive_attention_is_causal_linear_attention() -> None:
    with jax.enable_x64(True):
        q, k, v = tokens("elu_plus_one", "float64", 6)
        weights = np.tril(np.asarray(q) @ np.asarray(k).T)
        expected = weights / weights.sum(1, keepdims=True) @ np.asarray(v)
        np.testing.assert_allclose(additive_steps(q, k, v), expected, rtol=1e-12)


def test_the_delta_rule_overwrites_and_the_sum_does_not() -> None:
    """Orthonormal keys, each written twice: beta = 1 returns the last value, the sum the total."""
    keys = jnp.tile(jnp.eye(4), (2, 1))
    values = jax.random.normal(jax.random.key(0), (8, 3))
    delta = delta_steps(keys, keys, values, jnp.ones(8))
    np.testing.assert_allclose(delta, values, atol=1e-6)
    summed = additive_steps(keys, keys, values, attention=False)
    np.testing.assert_allclose(summed[4:], values[:4] + values[4:], atol=1e-6)


def test_a_read_before_anything_is_written_is_zero() -> None:
    zero = jnp.zeros((2, 3))
    for layer in (additive_steps, additive_parallel):
        assert not layer(zero, zero, jnp.ones((2, 1))).any()
    assert not unit_normalised(zero).any()
    assert not sum_normalised(zero).any()
    slope: Any = jax.grad(lambda x: unit_normalised(x).sum())(zero)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("nu", [1, 2, 5])
def test_dpfp_by_its_definition(nu: int) -> None:
    x = np.random.default_rng(0).normal(size=3)
    ring = np.maximum(np.concatenate([x, -x]), 0)
    expected = [ring[i] * ring[(i + shift) % 6] for shift in range(1, nu + 1) for i in range(6)]
    np.testing.assert_allclose(dpfp(jnp.asarray(x), nu), expected, rtol=1e-6)


@pytest.mark.parametrize("nu", [0, 6, -1])
def test_dpfp_refuses_rings_that_are_too_short(nu: int) -> None:
    with pytest.raises(SpecError, match="nu from 1 to 5"):
        dpfp(jnp.ones(3), nu)


def test_elu_plus_one_and_its_slope_are_finite_far_out() -> None:
    x = jnp.array([-200.0, -1.0, 0.0, 2.0, 200.0])
    np.testing.assert_allclose(elu_plus_one(x), [0, np.exp(-1), 1, 3, 201], rtol=1e-6)
    slope = jax.vmap(jax.grad(elu_plus_one))(x)
    np.testing.assert_allclose(slope, [0, np.exp(-1), 1, 1, 1], rtol=1e-6)
