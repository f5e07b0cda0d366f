"""Softmax of a given rank: its error is what it says, falls, and stays within a tolerance."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.architecture import parse_architecture
from kernels.errors import SpecError
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.mechanisms.softmax import Softmax
from kernels.plan.tiles import plan_tiles
from tests.kernels.networks import POOL, RELU, attention, dense, entries, masks, parallel
from tests.oracles.random_features import softmax

Array = np.ndarray[Any, Any]


def compressed(rank: int, **parameters: Any) -> dict[str, Any]:
    return {"type": "softmax", "rank": rank, **parameters}


def network(mechanism: Any = "softmax", **parameters: Any) -> dict[str, Any]:
    return {"layers": [dense(), RELU, attention(mechanism, **parameters), RELU, POOL, dense()]}


@lru_cache
def compiled(rank: int) -> Any:
    """(logits, real) -> the mixing matrix with masked queries' rows zero, and its error."""

    def run(logits: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
        visible = jnp.broadcast_to(real[None, :], logits.shape)
        made = Softmax(rank=rank).mixing(logits, visible, {})
        assert made.error is not None
        return made.of_queries(real).dense(), made.error

    return jax.jit(run)


def mixed(logits: Array, real: Array, rank: int, dtype: str = "float64") -> tuple[Array, float]:
    with jax.enable_x64(dtype == "float64"):
        weights, error = compiled(rank)(jnp.asarray(logits, dtype), jnp.asarray(real))
        return np.asarray(weights, float), float(error)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 10**6),
    channels=st.sampled_from([1, 3, 30]),
    scale=st.sampled_from([0.0, 0.1, 1.0, 10.0, 1e3, 1e6]),
    shift=st.sampled_from([0.0, 3.0]),
    rank=st.sampled_from([2, 5, 15]),
    kind=st.sampled_from(["none", "tail", "holes", "one"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_error_is_that_of_the_rows_and_rows_sum_to_one(
    seed: int, channels: int, scale: float, shift: float, rank: int, kind: str, dtype: str
) -> None:
    rows = np.random.default_rng(seed).normal(size=(16, channels)) + shift
    # As the job's dtype has them: rounding logits of 1e6 alone changes softmax altogether.
    logits = (scale * rows @ rows.T / channels).astype(dtype).astype(float)
    mask = masks(kind, (1, 16, 1), seed)
    real = np.ones(16, bool) if mask is None else mask[0]
    found, error = mixed(logits, real, rank, dtype)
    # Rounding of the logits is rounding of the weights, and rows of next to nothing are lost.
    rounding = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(found[real].sum(1), 1, atol=rounding if scale <= 10 else 0.1)
    assert not found[~real].any()
    assert not found[:, ~real].any()
    measured = np.abs(found - softmax(logits, real)).sum(1).max()
    assert error <= 4
    assert abs(error - measured) <= rounding * max(1.0, np.abs(logits).max())


def schur(logits: Array, pivots: list[int]) -> Array:
    """What is left of exp(logits) once some columns are known, by its definition."""
    whole = np.exp(logits)
    return whole - whole[:, pivots] @ np.linalg.solve(whole[np.ix_(pivots, pivots)], whole[pivots])


@pytest.mark.parametrize("rank", [2, 4, 8])
def test_pivots_leave_a_schur_complement(rank: int) -> None:
    """Greedy pivots of exp(C), done the long way; and the bound that its trace gives holds."""
    rows = np.maximum(entries((16, 40)), 0)
    logits = rows @ rows.T / 40
    pivots: list[int] = []
    for _ in range(rank - 1):
        left = schur(logits, pivots) if pivots else np.exp(logits)
        pivots.append(int(np.argmax(np.diag(left))))
    left, total = schur(logits, pivots), np.exp(logits).sum(1)
    weights = (np.exp(logits) - left) / total[:, None]
    expected = weights + (1 - weights.sum(1, keepdims=True)) / 16
    found, error = mixed(logits, np.ones(16, bool), rank)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    # |R_ij| <= sqrt(R_ii R_jj): for every positive semidefinite R. It is many times too large.
    diagonal = np.sqrt(np.maximum(np.diag(left), 0))
    assert error <= (2 * diagonal * diagonal.sum() / total).max()


def test_a_higher_rank_is_nearer_and_the_full_rank_is_exact() -> None:
    x = entries((4, 24, 3))
    exact = kernel_matrix(network(), x, dtype="float64")
    assert exact.error_estimate == {}
    errors: list[float] = []
    for rank in (2, 6, 16):
        found = kernel_matrix(network(compressed(rank)), x, dtype="float64")
        errors.append(found.error_estimate["mixing"])
        for output, kernel in found.items():
            # One layer of row-stochastic attention: 2 e + e^2 of the largest covariance below it.
            bound = 3 * (2 * errors[-1] + errors[-1] ** 2) * np.abs(exact[output]).max()
            assert np.abs(kernel - exact[output]).max() <= bound
            assert np.linalg.eigvalsh(kernel)[0] > -1e-10 * np.abs(kernel).max()
    assert all(after < before for before, after in pairwise(errors))
    full = kernel_matrix(network(compressed(24)), x, dtype="float64")
    for output, kernel in full.items():
        np.testing.assert_array_equal(kernel, exact[output])


@pytest.mark.parametrize("real", [pytest.param(2, marks=pytest.mark.slow), 3, 4])
def test_inputs_with_no_more_positions_than_the_rank_are_exact_however_padded(real: int) -> None:
    x = np.random.default_rng(1).normal(size=(3, real, 4))
    attention = {"type": "attention", "qk_std": 4.0}
    layers = [{"type": "dense", "b_std": 0.2}, attention, {"type": "relu"}, POOL, {"type": "dense"}]
    exact = kernel_matrix({"layers": layers}, x, dtype="float64")
    attention["mechanism"] = {"type": "softmax", "rank": 4}
    for padding in (0, 1, 5):
        padded = np.pad(x, ((0, 0), (0, padding), (0, 0)))
        mask = np.arange(real + padding) < np.full((3, 1), real)
        found = kernel_matrix({"layers": layers}, padded, mask1=mask, dtype="float64")
        assert found.error_estimate.get("mixing", 0) < 1e-15
        for output, kernel in exact.items():
            np.testing.assert_allclose(found[output], kernel, rtol=1e-12)


def test_padding_and_other_rows_change_nothing() -> None:
    x = entries((5, 24, 3))
    mask = np.arange(24)[None, :] < np.array([24, 20, 12, 8, 3])[:, None]
    spec = network(compressed(6))
    whole = kernel_matrix(spec, x, mask1=mask, dtype="float64")
    longer = np.concatenate([x, np.full((5, 40, 3), np.nan)], axis=1)
    padded = np.concatenate([mask, np.zeros((5, 40), bool)], axis=1)
    same = kernel_matrix(spec, longer, mask1=padded, dtype="float64")
    part = kernel_matrix(spec, x[3:, :9], x, mask1=mask[3:, :9], mask2=mask, dtype="float64")
    for output, kernel in whole.items():
        np.testing.assert_allclose(same[output], kernel, rtol=1e-7)
        np.testing.assert_allclose(part[output], kernel[3:], rtol=1e-7)


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_float32_rounding_is_far_below_the_error(mask: str) -> None:
    # After a layer norm every pivot of the first step is the same but for rounding.
    layers = [dense(), {"type": "layer_norm"}, attention(compressed(6)), RELU, POOL]
    x, real = entries((4, 24, 3)), masks(mask, (4, 24, 3))
    single = kernel_matrix({"layers": layers}, x, mask1=real)["nngp"]
    double = kernel_matrix({"layers": layers}, x, mask1=real, dtype="float64")["nngp"]
    scale = np.sqrt(np.outer(np.diag(double), np.diag(double)))
    assert (np.abs(single - double) / scale).max() < 1e-5


# Inputs whose logits are small, large, and in between; more than fill their group.
SCALES = np.array([0.05, 6.0, 0.8, 0.1, 0.02])
MIXED = entries((5, 34, 3)) * SCALES[:, None, None]


@pytest.mark.parametrize("inside", [pytest.param(False, marks=pytest.mark.slow), True])
def test_inputs_beyond_the_tolerance_are_exact_and_no_others(inside: bool) -> None:
    def spec(mechanism: Any) -> dict[str, Any]:
        layer = attention(mechanism)
        middle = parallel([layer], [dense()]) if inside else layer
        return {"layers": [dense(), RELU, middle, RELU, POOL]}

    def matrices(mechanism: Any, x: Array = MIXED) -> Any:
        return kernel_matrix(spec(mechanism), x, dtype="float64")

    alone = [matrices(compressed(5), row[None]).error_estimate["mixing"] for row in MIXED]
    tolerance = sorted(alone)[1] * 1.5
    over = np.array(alone) > tolerance
    assert over.any()
    assert not over.all()
    held = matrices(compressed(5, tolerance=tolerance))
    assert held.error_estimate["mixing"] == pytest.approx(max(np.array(alone)[~over]), rel=1e-9)
    exact, free = matrices("softmax"), matrices(compressed(5))
    beyond = np.ix_(over, over)
    within = np.ix_(~over, ~over)
    for output, kernel in held.items():
        assert np.linalg.eigvalsh(kernel)[0] > -1e-10 * np.abs(kernel).max()
        np.testing.assert_allclose(kernel[beyond], exact[output][beyond], rtol=1e-7)
        np.testing.assert_allclose(kernel[within], free[output][within], rtol=1e-7)
    # A(x) does not depend on what else is in the group.
    pair = kernel_matrix(
        spec(compressed(5, tolerance=tolerance)), MIXED[:1], MIXED, dtype="float64"
    )
    for output, kernel in held.items():
        np.testing.assert_allclose(pair[output], kernel[:1], rtol=1e-7)


@pytest.mark.slow
def test_every_layer_keeps_its_tolerance() -> None:
    layers = [dense(), RELU, attention(compressed(5, tolerance=0.01)), POOL]
    deep = [*layers[:3], RELU, attention(compressed(8, tolerance=0.02)), POOL]
    for spec, tolerance in ((layers, 0.01), (deep, 0.02)):
        held = kernel_matrix({"layers": spec}, MIXED, dtype="float64")
        assert 0 < held.error_estimate["mixing"] <= tolerance
        assert np.linalg.eigvalsh(held["ntk"])[0] > -1e-10 * np.abs(held["ntk"]).max()


def test_a_wide_tolerance_changes_no_bit_and_is_no_new_structure() -> None:
    free = kernel_matrix(network(compressed(5)), MIXED)
    held = kernel_matrix(network(compressed(5, tolerance=3.9)), MIXED)
    for output, kernel in free.items():
        np.testing.assert_array_equal(held[output], kernel)
    layers = [
        parse_architecture(network(compressed(5, tolerance=tolerance))).expanded[2].split()[0]
        for tolerance in (0.1, 0.2)
    ]
    assert layers[0] == layers[1]


def test_digests() -> None:
    spellings = ["softmax", compressed(5), compressed(6), compressed(5, tolerance=0.1)]
    specs = [parse_architecture(network(each)) for each in spellings]
    assert len({spec.digest for spec in specs}) == len(specs)
    assert [spec.exactness for spec in specs] == ["exact"] + ["approximate"] * 3
    assert specs[0].canonical()["layers"][2]["mechanism"] == {"type": "softmax"}
    plain = parse_architecture(network({"type": "softmax", "rank": None, "tolerance": None}))
    assert plain.digest == specs[0].digest
    # Written down before there were ranks: stored tiles keep their names.
    old = "593a152ab0bccf57a13f32ab1d6dd624"
    assert parse_architecture({"layers": [{"type": "attention"}, POOL]}).digest.startswith(old)


def test_short_sequences_are_still_computed_in_their_buckets() -> None:
    x, mask = entries((3, 100, 2)), np.zeros((3, 100), bool)
    mask[:, :10] = True
    architecture = parse_architecture(network(compressed(5)))
    plan = plan_tiles(architecture, read_inputs(x, mask))
    assert {group.grid for group in plan.groups1} == {(32,)}


@pytest.mark.parametrize(
    ("mechanism", "parameters", "says", "pointer"),
    [
        ({"type": "softmax", "tolerance": 0.1}, {}, "give the rank too", ""),
        (compressed(1), {}, "greater than or equal to 2", "/rank"),
        (compressed(4, tolerance=0.0), {}, "greater than 0", "/tolerance"),
        (compressed(4), {"causal": True}, "not of low rank", "/rank"),
    ],
)
def test_bad_parameters_are_refused(
    mechanism: dict[str, Any], parameters: dict[str, Any], says: str, pointer: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        kernel_matrix(network(mechanism, **parameters), entries((2, 5, 3)))
    assert caught.value.pointer == "/layers/2/mechanism" + pointer


def test_a_rank_is_not_for_random_logits() -> None:
    with pytest.raises(SpecError, match="leave the rank out") as caught:
        kernel_matrix(network(compressed(4), scaling="sqrt"), entries((2, 5, 3)))
    assert caught.value.pointer == "/layers/2/scaling"
