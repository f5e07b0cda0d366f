"""What is wrong with a document is said where it stands."""

import json
from typing import Any

import pytest

from kernels.architecture import (
    MAX_DEPTH,
    MAX_LAYERS,
    MAX_VALUES,
    parse_architecture,
)
from kernels.errors import SpecError

DENSE: dict[str, Any] = {"type": "dense"}
RELU: dict[str, Any] = {"type": "relu"}
NAN, INFINITY = float("nan"), float("inf")


def attends(mechanism: Any, **parameters: Any) -> dict[str, Any]:
    return {"layers": [{"type": "attention", "mechanism": mechanism, **parameters}]}


def deep(levels: int) -> list[Any]:
    layers: list[Any] = [DENSE]
    for _ in range(levels):
        layers = [{"type": "parallel", "branches": [layers]}]
    return layers


MALFORMED: list[tuple[str, Any, str]] = [
    ("not_an_object", [DENSE], ""),
    ("null", None, ""),
    ("no_layers", {}, ""),
    ("empty", {"layers": []}, "/layers"),
    ("layers_not_a_list", {"layers": {"type": "dense"}}, "/layers"),
    ("layers_text", {"layers": "dense"}, "/layers"),
    ("extra_key", {"layers": [DENSE], "name": "x"}, "/name"),
    ("layer_not_an_object", {"layers": ["dense"]}, "/layers/0"),
    ("no_type", {"layers": [DENSE, {}]}, "/layers/1"),
    ("unknown_type", {"layers": [DENSE, {"type": "dens"}]}, "/layers/1/type"),
    ("type_not_text", {"layers": [{"type": 3}]}, "/layers/0/type"),
    ("unknown_parameter", {"layers": [{"type": "dense", "w": 1}]}, "/layers/0/w"),
    ("negative_std", {"layers": [{"type": "dense", "w_std": -1}]}, "/layers/0/w_std"),
    ("nan", {"layers": [{"type": "dense", "b_std": NAN}]}, "/layers/0/b_std"),
    ("infinite", {"layers": [{"type": "dense", "b_std": INFINITY}]}, "/layers/0/b_std"),
    ("text_number", {"layers": [{"type": "dense", "w_std": "1"}]}, "/layers/0/w_std"),
    ("bool_number", {"layers": [{"type": "dense", "w_std": True}]}, "/layers/0/w_std"),
    ("null_number", {"layers": [{"type": "dense", "w_std": None}]}, "/layers/0/w_std"),
    ("missing_parameter", {"layers": [{"type": "leaky_relu"}]}, "/layers/0"),
    ("no_window", {"layers": [{"type": "conv"}]}, "/layers/0"),
    ("zero_window", {"layers": [{"type": "conv", "window": [0]}]}, "/layers/0/window/0"),
    ("float_window", {"layers": [{"type": "conv", "window": [2.0]}]}, "/layers/0/window/0"),
    ("empty_window", {"layers": [{"type": "conv", "window": []}]}, "/layers/0/window"),
    (
        "zero_stride",
        {"layers": [{"type": "conv", "window": [2], "strides": [0]}]},
        "/layers/0/strides/0",
    ),
    (
        "padding",
        {"layers": [{"type": "conv", "window": [2], "padding": "full"}]},
        "/layers/0/padding",
    ),
    ("axes", {"layers": [{"type": "layer_norm", "axes": ["spatial"]}]}, "/layers/0/axes"),
    ("no_times", {"layers": [{"type": "repeat", "layers": [DENSE]}]}, "/layers/0"),
    (
        "zero_times",
        {"layers": [{"type": "repeat", "times": 0, "layers": [DENSE]}]},
        "/layers/0/times",
    ),
    ("no_branches", {"layers": [{"type": "parallel", "branches": []}]}, "/layers/0/branches"),
    (
        "inside_a_branch",
        {
            "layers": [
                DENSE,
                {"type": "parallel", "branches": [[], [RELU, {"type": "dense", "w_std": -1}]]},
            ]
        },
        "/layers/1/branches/1/1/w_std",
    ),
    (
        "inside_a_repeat",
        {"layers": [{"type": "repeat", "times": 3, "layers": [{"type": "dense", "b_std": "a"}]}]},
        "/layers/0/layers/0/b_std",
    ),
    ("mechanism", {"layers": [{"type": "attention", "mechanism": "soft"}]}, "/layers/0/mechanism"),
    ("beta_zero", attends({"type": "delta", "beta": 0}), "/layers/0/mechanism/beta"),
    ("beta_two", attends({"type": "delta", "beta": 2.0}), "/layers/0/mechanism/beta"),
    ("beta_negative", attends({"type": "delta", "beta": -0.5}), "/layers/0/mechanism/beta"),
    ("beta_nan", attends({"type": "delta", "beta": NAN}), "/layers/0/mechanism/beta"),
    ("beta_text", attends({"type": "delta", "beta": "0.5"}), "/layers/0/mechanism/beta"),
    (
        "beta_of_another",
        attends({"type": "linear", "beta": 0.5}),
        "/layers/0/mechanism/beta",
    ),
    (
        "nu_zero",
        attends({"type": "linear", "feature_map": {"type": "dpfp", "nu": 0}}),
        "/layers/0/mechanism/feature_map/nu",
    ),
    (
        "nu_seventeen",
        attends({"type": "linear", "feature_map": {"type": "dpfp", "nu": 17}}),
        "/layers/0/mechanism/feature_map/nu",
    ),
    (
        "nu_fraction",
        attends({"type": "delta", "feature_map": {"type": "dpfp", "nu": 1.5}}),
        "/layers/0/mechanism/feature_map/nu",
    ),
    (
        "feature_map",
        attends({"type": "linear", "feature_map": "elu"}),
        "/layers/0/mechanism/feature_map",
    ),
    (
        "feature_map_type",
        attends({"type": "linear", "feature_map": {"type": "elu"}}),
        "/layers/0/mechanism/feature_map/type",
    ),
    (
        "feature_map_null",
        attends({"type": "linear", "feature_map": None}),
        "/layers/0/mechanism/feature_map",
    ),
    (
        "normalize_number",
        attends({"type": "linear", "normalize": 1}),
        "/layers/0/mechanism/normalize",
    ),
    ("parameters_of_l2", attends({"type": "l2", "rank": 3}), "/layers/0/mechanism/rank"),
    (
        "one_sample",
        attends("softmax", scaling="sqrt", estimator={"samples": 1}),
        "/layers/0/estimator/samples",
    ),
    (
        "half_a_pair",
        attends("softmax", scaling="sqrt", estimator={"samples": 7}),
        "/layers/0/estimator",
    ),
    (
        "large_seed",
        attends("softmax", scaling="sqrt", estimator={"seed": 2**32}),
        "/layers/0/estimator/seed",
    ),
    ("scaling", {"layers": [{"type": "attention", "scaling": "log"}]}, "/layers/0/scaling"),
    ("causal_text", {"layers": [{"type": "attention", "causal": "yes"}]}, "/layers/0/causal"),
    (
        "residual_one",
        {"layers": [{"type": "attention", "residual": {"weight": 1}}]},
        "/layers/0/residual/weight",
    ),
    (
        "merge",
        {"layers": [{"type": "attention", "positional": {"merge": "mean"}}]},
        "/layers/0/positional/merge",
    ),
    ("no_merge", {"layers": [{"type": "attention", "positional": {}}]}, "/layers/0/positional"),
    (
        "fraction",
        {"layers": [{"type": "attention", "positional": {"merge": "concat", "fraction": 1.5}}]},
        "/layers/0/positional/fraction",
    ),
    (
        "decay",
        {
            "layers": [
                {"type": "attention", "positional": {"merge": "sum", "decay": {"type": "linear"}}}
            ]
        },
        "/layers/0/positional/decay/type",
    ),
    (
        "length",
        {
            "layers": [
                {
                    "type": "attention",
                    "positional": {"merge": "sum", "decay": {"type": "rational", "length": 0}},
                }
            ]
        },
        "/layers/0/positional/decay/length",
    ),
]


@pytest.mark.parametrize(
    ("document", "pointer"), [c[1:] for c in MALFORMED], ids=[c[0] for c in MALFORMED]
)
def test_malformed_documents(document: Any, pointer: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_architecture(document)
    assert caught.value.pointer == pointer
    assert str(caught.value) == caught.value.detail
    assert len(caught.value.detail) > 15


def test_nesting_is_bounded() -> None:
    with pytest.raises(SpecError, match=str(MAX_DEPTH)):
        parse_architecture({"layers": deep(20000)})
    parse_architecture({"layers": deep(8)})


def repeated(times: int, layers: list[Any]) -> dict[str, Any]:
    return {"type": "repeat", "times": times, "layers": layers}


@pytest.mark.parametrize(
    "layers",
    [
        [DENSE] * (MAX_LAYERS + 1),
        [{"type": "repeat", "times": 1024, "layers": [DENSE]}],
        json.loads(
            '{"type": "repeat", "times": 100, "layers": [' * 8 + '{"type": "dense"}' + "]}" * 8
        )
        and [
            json.loads(
                '{"type": "repeat", "times": 100, "layers": [' * 8 + '{"type": "dense"}' + "]}" * 8
            )
        ],
        [repeated(10**4000, [repeated(10**4000, [DENSE])])],
    ],
    ids=["long", "repeated", "nested_repeats", "more_digits_than_python_writes"],
)
def test_length_is_bounded(layers: list[Any]) -> None:
    with pytest.raises(SpecError, match=str(MAX_LAYERS)) as caught:
        parse_architecture({"layers": layers})
    assert caught.value.pointer == "/layers"


def test_a_document_of_many_mistakes_is_not_described_mistake_by_mistake() -> None:
    with pytest.raises(SpecError, match=str(MAX_VALUES)) as caught:
        parse_architecture({"layers": [1] * (MAX_VALUES + 1)})
    assert caught.value.pointer == "/layers"


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "parallel", "branches": [[]]},
        {"type": "parallel", "branches": [[{"type": "parallel", "branches": [[]]}]]},
        repeated(2, [{"type": "parallel", "branches": [[]]}]),
    ],
)
def test_a_network_without_layers_is_none(layer: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="no layers are left") as caught:
        parse_architecture({"layers": [layer]})
    assert caught.value.pointer == "/layers"


@pytest.mark.parametrize(
    ("layer", "detail"),
    [
        (
            {"type": "conv", "window": 3},
            "expected a list of integers, one a position axis, such as [3]; got 3",
        ),
        (
            {"type": "parallel", "branches": "dense"},
            'expected a list of branches, each a list of layers; got "dense"',
        ),
        (
            {"type": "parallel", "branches": [DENSE]},
            'expected a branch, a list of layers; got {"type": "dense"}',
        ),
        (
            {"type": "dense", "wstd": 1.0},
            "unknown parameter 'wstd'; did you mean 'w_std'? known here: 'w_std', 'b_std'",
        ),
        (
            {"type": "attention", "mechanism": {"type": "softmax", "q": 1.0}},
            "unknown parameter 'q'; known here: 'rank', 'tolerance'",
        ),
        (
            {"type": "repeat", "times": 2, "layers": [{"type": "relu", "slope": 1}]},
            "unknown parameter 'slope'; remove it or correct its name",
        ),
        (
            {"type": "rleu"},
            "unknown type \"rleu\"; did you mean 'relu'? expected one of 'dense', 'conv'",
        ),
        ({"type": "quux"}, "unknown type \"quux\"; expected one of 'dense', 'conv'"),
    ],
)
def test_what_was_expected_is_said(layer: dict[str, Any], detail: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_architecture({"layers": [layer]})
    assert caught.value.detail.startswith(detail), caught.value.detail
