"""What a caller is told of parameters that are allowed but do nothing, or degenerate."""

from typing import Any

import pytest

from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.inputs import read_inputs

DPFP_3 = {"type": "dpfp", "nu": 3}

WARNED: list[tuple[Any, dict[str, Any], list[str]]] = [
    ({"type": "delta", "beta": 1}, {}, ["identity"]),
    ({"type": "delta", "beta": 0.999}, {}, []),
    ({"type": "delta", "feature_map": DPFP_3}, {}, ["nu = 3"]),
    ({"type": "delta", "feature_map": "relu"}, {"qk_std": 1.5}, ["qk_std = 1.5"]),
    ({"type": "delta", "feature_map": "elu_plus_one"}, {"qk_std": 1.5}, []),
    (
        {"type": "delta", "feature_map": DPFP_3, "beta": 1.0},
        {"qk_std": 0.5},
        ["nu = 3", "identity", "qk_std = 0.5"],
    ),
    ({"type": "linear", "feature_map": "relu"}, {"qk_std": 2.0}, ["qk_std = 2"]),
    ({"type": "linear", "feature_map": "dpfp"}, {"qk_std": 2.0}, ["qk_std = 2"]),
    ({"type": "linear", "feature_map": DPFP_3}, {}, ["nu = 3"]),
    # Without queries and keys there are no features: that has an effect.
    ({"type": "linear", "feature_map": "relu"}, {"qk_std": 0.0}, []),
    ("linear", {"qk_std": 2.0}, []),
    (
        {"type": "linear", "feature_map": "relu", "normalize": False},
        {"qk_std": 2.0},
        ["not normalised"],
    ),
    ({"type": "linear", "normalize": False}, {}, ["not normalised"]),
    ("l2", {"qk_std": 2.0}, []),
    ("sparsemax", {"qk_std": 2.0}, []),
    ("softmax", {"qk_std": 2.0}, []),
]


@pytest.mark.parametrize(("mechanism", "parameters", "words"), WARNED)
def test_warnings_of_mechanisms(
    mechanism: Any, parameters: dict[str, Any], words: list[str]
) -> None:
    layer = {"type": "attention", "mechanism": mechanism, **parameters}
    warnings = parse_architecture({"layers": [layer]}).warnings
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning


def test_a_warning_is_given_once_wherever_the_layers_are() -> None:
    layer = {"type": "attention", "mechanism": {"type": "delta", "beta": 1.0}}
    inner = {"type": "parallel", "branches": [[layer, {"type": "dense"}], [{"type": "dense"}]]}
    layers = [layer, {"type": "repeat", "times": 3, "layers": [inner]}, {"type": "flatten"}]
    network = parse_architecture({"layers": layers})
    assert len(network.warnings) == 1
    assert check_job(network, read_inputs([[[1.0], [2.0]]])) == list(network.warnings)
