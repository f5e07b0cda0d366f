"""One head at a time: against the written-out reference, and the identity's closed form."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.estimate.draws import key_of, shared_draws
from kernels.estimate.jackknife import estimate_and_error, included_groups
from kernels.layers.head_moments import Covariances, group_means, kernels_of_head, mean_of_groups
from kernels.mechanisms.elementwise import AbsScores, IdentityScores, ReLUScores
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.softmax import Softmax
from kernels.mechanisms.sparsemax import Sparsemax

Array = np.ndarray[Any, Any]
MECHANISMS = [Softmax(), Sparsemax(), ReLUScores(), AbsScores(), IdentityScores()]
T1, T2, RANK = 4, 4, 3


@pytest.fixture(scope="module")
def reference(root: Path) -> Any:
    path = root / "tests" / "data" / "golden_attention" / "reference.py"
    spec = importlib.util.spec_from_file_location("attention_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def covariances(seed: int, rank: int = RANK) -> tuple[Array, Array, Covariances]:
    """Factors of K~(x, x') for two inputs, and what their heads act on."""
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(T1, rank)), rng.normal(size=(T2, rank))
    k = one @ two.T
    others = [k + 0.5 * rng.normal(size=k.shape) for _ in range(3)]
    return one, two, Covariances(others[0], k, *others[1:])


def test_the_kernels_of_a_head_are_those_of_the_reference(reference: Any) -> None:
    one, two, k = covariances(0)
    qk_std, samples, seed = 1.7, 6, 11
    nngp, ntk = reference.softmax_sqrt_head_samples(
        one, two, k.logits, qk_std, samples, seed, k.values, k.values_ntk, k.logits_ntk
    )
    rng, softmax = np.random.default_rng(seed), Softmax()
    with jax.enable_x64(True):
        given = Covariances(*map(jnp.asarray, k))
        for expected in zip(nngp, ntk, strict=True):
            z = rng.standard_normal((RANK, RANK))
            heads = [
                softmax.head(softmax.head_state(jnp.asarray(qk_std * side @ z @ side.T), None))
                for side in (one, two)
            ]

            found = kernels_of_head(*heads, given, jnp.asarray(qk_std), diagonal=False)
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * abs(theirs).max())


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda each: each.name())
def test_what_a_head_says_of_its_derivative_is_that_of_its_weights(mechanism: Mechanism) -> None:
    with jax.enable_x64(True):
        logits = jnp.asarray(np.random.default_rng(1).normal(size=(T1, T1)))
        visible = jnp.asarray(np.tril(np.ones((T1, T1), bool)))

        def weights(logits: jax.Array) -> jax.Array:
            return mechanism.head(mechanism.head_state(logits, visible)).weights

        exact = jax.jacobian(weights)(logits)
        head = mechanism.head(mechanism.head_state(logits, visible))
        mixed = mechanism.mixing(logits, visible, {}).read
    np.testing.assert_allclose(head.weights, mixed, rtol=0, atol=1e-15)
    for a in range(T1):
        slope = np.asarray(head.slope[a])
        own = np.diag(slope)
        if head.mean is not None:
            own = own - np.outer(slope, head.mean[a])
        np.testing.assert_allclose(own, exact[a, :, a, :], rtol=0, atol=1e-14)


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_identity_by_heads_is_its_closed_form(diagonal: bool) -> None:
    """s = <K~, K>; qk^2 [s (Theta~ + 4 K~) + K~ (<K~, Theta> + <K, Theta~>)], golden/README.md."""
    one, two, k = covariances(2)
    if diagonal:
        two, k = two[:T1], Covariances(*(np.asarray(part)[:, :T1] for part in k))
    qk_std, units, groups = 0.8, 16384, 32
    assert k.values_ntk is not None
    assert k.logits_ntk is not None
    seen = (k.logits * k.values).sum()
    below = (k.logits * k.values_ntk + k.values * k.logits_ntk).sum()
    exact = [
        qk_std**2 * seen * k.logits,
        qk_std**2 * (seen * (k.logits_ntk + 4 * k.logits) + k.logits * below),
    ]
    with jax.enable_x64(True):
        z = np.asarray(shared_draws(key_of(5, 0), units, RANK), np.float64)
        left, right = (jnp.asarray(qk_std * side @ z @ side.T) for side in (one, two))
        given, identity = Covariances(*map(jnp.asarray, k)), IdentityScores()

        def of_head(left: jax.Array, right: jax.Array) -> Any:
            heads = identity.head(left), identity.head(right)
            return kernels_of_head(*heads, given, jnp.asarray(qk_std), diagonal)

        means = group_means(of_head, left, right, 1, groups)
        kept = jnp.asarray(included_groups(groups))
        replicates = [
            jax.vmap(lambda g, m=mean: mean_of_groups(m, g, units))(kept) for mean in means
        ]
    for found, closed in zip(replicates, exact, strict=True):
        mean, error = estimate_and_error(np.asarray(found), axis=0)
        expected = np.diagonal(closed) if diagonal else closed
        assert error.max() < 0.15 * np.abs(expected).max()
        assert (np.abs(mean - expected) / error).max() <= 4


def test_draws_are_normal_and_do_not_depend_on_how_many_there_are() -> None:
    few, many = (np.asarray(shared_draws(key_of(1, 0), *size)) for size in ((3, 70), (5, 90)))
    assert (few == many[:3, :70, :70]).all()
    assert not (few == np.asarray(shared_draws(key_of(1, 1), 3, 70))).any()
    assert not (few == np.asarray(shared_draws(key_of(2, 0), 3, 70))).any()
    entries = np.sort(many.ravel())
    assert abs(entries.mean()) < 4 / np.sqrt(entries.size)
    assert abs(entries.var() - 1) < 4 * np.sqrt(2 / entries.size)
    assert np.unique(entries).size > 0.99 * entries.size


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=(20, 7))
    kept = included_groups(20)
    replicates = (kept @ values) / kept.sum(1, keepdims=True)
    mean, error = estimate_and_error(replicates, axis=0)
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(error, values.std(0, ddof=1) / np.sqrt(20), rtol=1e-12)
