"""Tiles: stopping, slices of the whole, symmetry, permutations, and x64 kept to its job."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.engine import pairs
from kernels.engine.backend import POLICIES, Policy
from kernels.engine.tile import compute_tile
from kernels.engine.workspace import Workspace
from kernels.errors import Stopped
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import EXACT, Additive, Method
from tests.kernels.networks import POOL, RELU, attention, conv, dense, entries, masks

LAYERS = {"layers": [conv(3), RELU, attention(), RELU, POOL, dense()]}
NETWORK = parse_architecture(LAYERS)
OUTPUTS = ("nngp", "ntk")
X = entries((21, 6, 3))
MASK = masks("holes", X.shape)
INPUTS = read_inputs(X, MASK)


def after(calls: int) -> Callable[[], bool]:
    """A stop flag that is up from the call numbered `calls` on."""
    seen = iter(range(10**6))
    return lambda: next(seen) >= calls


@pytest.mark.parametrize("calls", [0, 1])
def test_a_tile_can_be_stopped(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Micro-tiles of one pair and calls of no time, so that there is a second call to stop before.
    monkeypatch.setattr(pairs, "policy", lambda platform: Policy(1, 1, 1, call_seconds=0.0))
    with pytest.raises(Stopped):
        compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS, should_stop=after(calls))


def test_a_flag_that_stays_down_changes_nothing() -> None:
    plain = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    asked = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS, should_stop=lambda: False).values
    for output in OUTPUTS:
        np.testing.assert_array_equal(plain[output], asked[output])


def test_the_length_of_a_call_has_no_effect_on_any_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    cpu = POLICIES["cpu"]
    hasty = replace(cpu, call_seconds=0.0)
    monkeypatch.setattr(pairs, "policy", lambda platform: hasty)
    fast = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    for output in OUTPUTS:
        np.testing.assert_array_equal(slow[output], fast[output])


@pytest.mark.parametrize("edge", [1, 2, 8])
def test_the_size_of_micro_tiles_is_rounding_only(
    edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    monkeypatch.setattr(pairs, "policy", lambda platform: Policy(2**30, 2**30, edge))
    small = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    for output in OUTPUTS:
        np.testing.assert_allclose(small[output], whole[output], rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_x_against_x_is_exactly_symmetric(dtype: str) -> None:
    for matrix in kernel_matrix(LAYERS, X, mask1=MASK, dtype=dtype).values():
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix.astype(np.float64)).min() > -1e-5


@pytest.mark.parametrize("method", [EXACT, Additive()], ids=lambda method: method.type)
def test_the_same_inputs_on_both_sides_make_a_whole_tile(method: Method) -> None:
    # A worker has one object for the same rows, whose one-input pass tiles share.
    layers = [dense(), RELU, attention(), RELU, POOL, dense()]
    architecture, rows = parse_architecture({"layers": layers}), read_inputs(entries((9, 40, 3)))
    with Workspace(2) as workspace:
        own, crossed = (
            compute_tile(
                architecture, rows, columns, outputs=("nngp", "ntk"), method=method,
                workspace=workspace,
            )
            for columns in (None, rows)
        )  # fmt: skip
    apart = ~np.eye(9, dtype=bool)
    for name, kernel in own.values.items():
        np.testing.assert_allclose(crossed.values[name][apart], kernel[apart], rtol=2e-6)
        # An input on the other side is another one: its angle of zero rounds to the root of eps, which
        # the ntk of a ReLU follows (2e-6 here, where one in 40 pairs of positions coincides).
        found, root = np.diag(crossed.values[name]), np.finfo(np.float32).eps ** 0.5
        np.testing.assert_allclose(found, np.diag(kernel), rtol=root)


@pytest.mark.parametrize("output", OUTPUTS)
def test_transposed_sides_give_the_transpose(output: str) -> None:
    y = entries((9, 6, 3), seed=1)
    one = kernel_matrix(LAYERS, X, y, mask1=MASK, dtype="float64")[output]
    two = kernel_matrix(LAYERS, y, X, mask2=MASK, dtype="float64")[output]
    np.testing.assert_allclose(one, two.T, rtol=1e-12)


def test_permuted_inputs_give_the_permuted_matrix() -> None:
    order = np.random.default_rng(0).permutation(len(X))
    whole = kernel_matrix(LAYERS, X, mask1=MASK, dtype="float64")
    mixed = kernel_matrix(LAYERS, X[order], mask1=MASK[order], dtype="float64")
    for output in OUTPUTS:
        np.testing.assert_allclose(mixed[output], whole[output][np.ix_(order, order)], rtol=1e-12)


def test_a_tile_is_a_slice_of_the_whole() -> None:
    whole = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    rows, cols = [3, 17, 4], [0, 20, 9, 10, 11]
    part = compute_tile(NETWORK, INPUTS.take(rows), INPUTS.take(cols), outputs=OUTPUTS).values
    for output in OUTPUTS:
        np.testing.assert_allclose(part[output], whole[output][np.ix_(rows, cols)], rtol=2e-6)


def test_outputs_are_those_asked_for() -> None:
    alone = compute_tile(NETWORK, INPUTS, None, outputs=("nngp",)).values
    assert set(alone) == {"nngp"}
    both = compute_tile(NETWORK, INPUTS, None, outputs=OUTPUTS).values
    np.testing.assert_allclose(alone["nngp"], both["nngp"], rtol=2e-6)


def test_float64_stays_within_its_job() -> None:
    jobs: list[dict[str, Any]] = [{"dtype": "float64"}, {"dtype": "float32"}] * 3
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda job: kernel_matrix(LAYERS, X[:5], **job), jobs))
    assert jnp.zeros(1).dtype == jnp.float32
    for job, result in zip(jobs, results, strict=True):
        assert {str(matrix.dtype) for matrix in result.values()} == {job["dtype"]}
        reference = results[0 if job["dtype"] == "float64" else 1]
        for output in OUTPUTS:
            np.testing.assert_array_equal(result[output], reference[output])
