"""The backward walk: each layer is asked for the least that what is above it needs."""

from typing import Any

import pytest

from kernels.architecture import parse_architecture
from kernels.demand import Demand, plan_one_input, plan_pair
from kernels.layers.layer import Layer
from kernels.layers.structure import Repeat
from kernels.registry import LAYERS
from tests.kernels.finite.cases import CASES
from tests.kernels.networks import FLATTEN, LAYER_NORM, POOL, RELU, attention, conv, dense, parallel

FULL, DIAGONAL, READOUT, POINT = Demand.FULL, Demand.DIAGONAL, Demand.READOUT, Demand.POINT
NOTHING = Demand.NOTHING


def structure(layers: list[dict[str, Any]]) -> list[Any]:
    return [layer.split()[0] for layer in parse_architecture({"layers": layers}).expanded]


def wanted(layers: list[dict[str, Any]], positions: bool = True) -> list[Demand]:
    """What each layer is handed in the pair pass."""
    return [step.wanted_in for step in plan_pair(structure(layers), positions)]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([dense(), RELU, FLATTEN], [DIAGONAL] * 3),
        ([conv(3), RELU, conv(3), LAYER_NORM, FLATTEN, dense()], [DIAGONAL] * 5 + [POINT]),
        ([dense(), RELU, POOL], [FULL, FULL, READOUT]),
        ([dense(), RELU, attention(), dense(), POOL], [FULL, FULL, READOUT, READOUT, READOUT]),
        ([attention(), attention(), LAYER_NORM, POOL, dense()], [READOUT] * 4 + [POINT]),
        ([dense(), RELU, attention(), RELU, POOL], [FULL, FULL, FULL, FULL, READOUT]),
        ([dense(), attention(), FLATTEN], [FULL, FULL, DIAGONAL]),
        ([dense(), attention(residual={"weight": 0.5}), POOL], [FULL, FULL, READOUT]),
        ([dense(), RELU, {"type": "avg_pool", "window": [2]}, FLATTEN], [FULL] * 3 + [DIAGONAL]),
        ([conv(3), dense(), POOL], [FULL, READOUT, READOUT]),
    ],
)
def test_pairs(layers: list[dict[str, Any]], expected: list[Demand]) -> None:
    assert wanted(layers) == expected


def test_vectors_have_points_only() -> None:
    assert wanted([dense(), RELU, FLATTEN, dense()], positions=False) == [POINT] * 4


def test_branches_join_what_they_need() -> None:
    network = [dense(), parallel([RELU, attention()], []), FLATTEN]
    steps = plan_pair(structure(network), positions=True)
    assert [step.wanted_in for step in steps] == [FULL, FULL, DIAGONAL]
    windows = [dense(), parallel([RELU, conv(3)], []), FLATTEN]
    assert wanted(windows) == [DIAGONAL] * 3


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # Variances are all that activations read, and nothing is read after the last of them.
        ([dense(), RELU, dense(), FLATTEN], [DIAGONAL, DIAGONAL, NOTHING, NOTHING]),
        ([dense(), RELU, attention(), POOL], [FULL, FULL, FULL, NOTHING]),
        ([dense(), attention(), dense(), RELU, POOL], [FULL, FULL, DIAGONAL, DIAGONAL, NOTHING]),
        ([dense(), POOL, RELU, dense()], [READOUT, READOUT, POINT, NOTHING]),
        ([dense(), dense()], [NOTHING, NOTHING]),
    ],
)
def test_one_input(layers: list[dict[str, Any]], expected: list[Demand]) -> None:
    steps = plan_one_input(structure(layers), positions=True)
    assert [step.wanted_in for step in steps] == expected


def test_join_is_the_least_that_serves_both() -> None:
    assert NOTHING.join(DIAGONAL) is DIAGONAL
    assert DIAGONAL.join(NOTHING) is DIAGONAL
    assert READOUT.join(DIAGONAL) is FULL
    assert READOUT.join(READOUT) is READOUT


def test_a_layer_defines_what_its_facts_say_it_is_asked_for() -> None:
    """Some would be found out only by the network in which they are asked."""
    seen: set[type[Layer]] = set()
    for case in CASES.values():
        for layer in parse_architecture({"layers": case.layers}).every_layer():
            asked = {
                "observe": layer.observes is not NOTHING,
                "readout": layer.demand(READOUT) is READOUT,
                "values": layer.separable,
            }
            names = {"forward", "apply"} | {name for name, is_asked in asked.items() if is_asked}
            for name in names:
                defined = getattr(type(layer), name) is not getattr(Layer, name)
                assert defined, f"{layer.name()} does not define {name}"
            seen.add(type(layer))
    assert seen == set(LAYERS) - {Repeat}, "no case with some layer"
