"""Attention over raw inputs is computed on mixed inputs: the same kernels as pair by pair."""

from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.demand import multiplies, plan_pair
from kernels.layers.mixed_inputs import with_mixed_inputs
from kernels.matrix import kernel_matrix, memory_needed
from kernels.method import EXACT, Additive, MonteCarlo
from tests.kernels.agreement import assert_as_defined
from tests.kernels.networks import (
    FLATTEN,
    POOL,
    RELU,
    attention,
    dense,
    entries,
    parallel,
    positional,
)

NOTHING_DROPPED = {"type": "dropout", "rate": 1.0}
"""Changes no kernel, but what lies above it has no raw inputs."""

ATTENTIONS: dict[str, dict[str, Any]] = {
    "softmax": attention(),
    "positions": attention(positional=positional("sum", "rational")),
    "causal": attention(causal=True),
    "sparsemax": attention("sparsemax"),
    "l2": attention("l2"),
    "identity": attention("identity"),
}
ENDS = {
    "pool": [RELU, POOL, dense()],
    "flatten": [RELU, FLATTEN],
    "pool first": [POOL, RELU, dense()],
    "attention": [dense(), RELU, attention(), RELU, POOL],
    "parallel": [parallel([dense(), RELU, dense()], []), dense(), RELU, POOL],
}


def compare(layers: list[dict[str, Any]], x: Any, tolerance: float = 1e-11, **sides: Any) -> None:
    found = kernel_matrix({"layers": layers}, x, dtype="float64", **sides)
    long_way = kernel_matrix({"layers": [NOTHING_DROPPED, *layers]}, x, dtype="float64", **sides)
    for output, kernel in long_way.items():
        np.testing.assert_allclose(found[output], kernel, rtol=tolerance, atol=tolerance)


LENGTHS = np.array([12, 9, 11, 12, 10, 9, 12])
MASK = np.arange(12) < LENGTHS[:, None]


@pytest.mark.parametrize("name", ATTENTIONS)
def test_kernels_are_those_of_pairs_that_are_multiplied(name: str) -> None:
    # Sparse weights make positions coincide, where a rectifier has a kink and rounding a root.
    tolerance = 1e-8 if name == "sparsemax" else 1e-11
    compare([ATTENTIONS[name], RELU, POOL], entries((4, 12, 3)), tolerance, mask1=MASK[:4])


@pytest.mark.parametrize("end", ENDS)
def test_whatever_follows(end: str) -> None:
    compare([ATTENTIONS["positions"], *ENDS[end]], entries((4, 12, 3)))


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_kernels_are_as_defined(mask: str) -> None:
    layers = [ATTENTIONS["positions"], RELU, POOL, dense()]
    assert_as_defined(layers, (2, 5, 2), (3, 5, 2), mask)


def test_two_sides_and_their_diagonal() -> None:
    x, y = entries((4, 12, 3)), entries((4, 12, 3), 1)
    layers = [attention(), RELU, POOL]
    masks: dict[str, Any] = {"mask1": MASK[:4], "mask2": MASK[3:]}
    compare(layers, x, x2=y, **masks)
    compare(layers, x, x2=y, form="diagonal", **masks)
    compare([attention(), RELU], x, x2=y, form="positions", **masks)


def test_no_pair_is_multiplied() -> None:
    def plan(layers: list[dict[str, Any]]) -> Any:
        network = parse_architecture({"layers": layers}).expanded
        return plan_pair(with_mixed_inputs(network, EXACT), positions=True)

    assert not multiplies(plan([attention(), RELU, POOL]))
    assert multiplies(plan([NOTHING_DROPPED, attention(), RELU, POOL]))
    assert multiplies(plan([attention(), RELU, attention(), RELU, POOL]))


@pytest.mark.parametrize(
    ("first", "method"),
    [
        (attention(), Additive()),
        (attention(), MonteCarlo(width=8, samples=2)),
        (attention({"type": "softmax", "rank": 4}), EXACT),
        (attention({"type": "performer", "features": 8}), EXACT),
        (attention("identity", scaling="sqrt"), EXACT),
        (attention(positional=positional("sum", "rational", in_values=True)), EXACT),
        (dense(), EXACT),
    ],
)
def test_what_has_errors_to_tell_or_more_than_weights_stays(
    first: dict[str, Any], method: Any
) -> None:
    layers = parse_architecture({"layers": [first, RELU, POOL]}).expanded
    assert with_mixed_inputs(layers, method) is layers


def test_whatever_memory_a_tile_has_the_numbers_are_the_same() -> None:
    x = entries((20, 40, 3))
    network = {"layers": [attention(), RELU, POOL]}
    least = kernel_matrix(network, x, memory_bytes=memory_needed(network, x))
    for output, kernel in kernel_matrix(network, x).items():
        np.testing.assert_array_equal(least[output], kernel)
