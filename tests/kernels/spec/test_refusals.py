"""An architecture that does not fit its input is refused where it does not."""

from typing import Any

import pytest

from kernels.architecture import describe, parse_architecture
from kernels.compatible import check_job
from kernels.errors import SpecError
from kernels.inputs import read_inputs
from tests.kernels.networks import (
    FLATTEN,
    RELU,
    Layer,
    attention,
    concat,
    dense,
    parallel,
    product,
)

DENSE: dict[str, Any] = {"type": "dense"}
NAN, INFINITY = float("nan"), float("inf")


def attends(mechanism: Any, **parameters: Any) -> dict[str, Any]:
    return {"layers": [{"type": "attention", "mechanism": mechanism, **parameters}]}


CONV2 = {"type": "conv", "window": [3, 3]}
ATTENTION: dict[str, Any] = {"type": "attention"}
ROUGH = {"type": "rational", "length": 2.0, "power": 1.5}

UNFIT: list[tuple[str, list[Any], tuple[int, ...], str]] = [
    ("relu_on_raw_input", [RELU], (4,), "/layers/0"),
    ("relu_after_relu", [DENSE, RELU, RELU], (4,), "/layers/2"),
    (
        "relu_after_pooled_relu",
        [DENSE, RELU, {"type": "global_avg_pool"}, RELU],
        (4, 3),
        "/layers/3",
    ),
    ("relu_after_flatten", [DENSE, {"type": "flatten"}, RELU], (4, 3), "/layers/2"),
    ("norm_on_raw_input", [{"type": "layer_norm"}], (4,), "/layers/0"),
    ("attention_on_vectors", [DENSE, ATTENTION], (4,), "/layers/1"),
    ("attention_after_pool", [DENSE, {"type": "global_avg_pool"}, ATTENTION], (4, 3), "/layers/2"),
    ("pool_on_vectors", [DENSE, {"type": "global_avg_pool"}], (4,), "/layers/1"),
    ("conv_on_vectors", [{"type": "conv", "window": [3]}], (4,), "/layers/0/window"),
    ("square_window_on_sequence", [CONV2], (8, 4), "/layers/0/window"),
    ("line_window_on_image", [{"type": "conv", "window": [3]}], (8, 8, 4), "/layers/0/window"),
    (
        "strides_of_other_rank",
        [{"type": "conv", "window": [3], "strides": [1, 1]}],
        (8, 4),
        "/layers/0/strides",
    ),
    (
        "window_too_large",
        [{"type": "conv", "window": [9], "padding": "valid"}],
        (8, 4),
        "/layers/0/window",
    ),
    ("pool_too_large", [DENSE, {"type": "avg_pool", "window": [9]}], (8, 4), "/layers/1/window"),
    (
        "window_wraps_twice",
        [{"type": "conv", "window": [9], "padding": "circular"}],
        (8, 4),
        "/layers/0/window",
    ),
    (
        "not_semidefinite",
        [{"type": "attention", "positional": {"merge": "sum", "decay": ROUGH}}],
        (12, 4),
        "/layers/0/positional/decay",
    ),
    (
        "not_semidefinite_in_2d",
        [
            {
                "type": "attention",
                "positional": {"merge": "sum", "decay": {"type": "rational"}, "p_norm": 4},
            }
        ],
        (12, 12, 3),
        "/layers/0/positional/decay",
    ),
    ("sqrt_l2", attends("l2", scaling="sqrt")["layers"], (4, 3), "/layers/0/scaling"),
    ("sqrt_linear", attends("linear", scaling="sqrt")["layers"], (4, 3), "/layers/0/scaling"),
    (
        "sqrt_dpfp",
        attends({"type": "linear", "feature_map": "dpfp"}, scaling="sqrt")["layers"],
        (4, 3),
        "/layers/0/scaling",
    ),
    ("sqrt_delta", attends("delta", scaling="sqrt")["layers"], (4, 3), "/layers/0/scaling"),
    (
        "sqrt_low_rank",
        attends({"type": "softmax", "rank": 4}, scaling="sqrt")["layers"],
        (4, 3),
        "/layers/0/scaling",
    ),
    (
        "raw_residual",
        [{"type": "attention", "residual": {"weight": 0.5}}],
        (4, 3),
        "/layers/0/residual",
    ),
    (
        "correlated_branches",
        [DENSE, {"type": "parallel", "branches": [[RELU], []]}],
        (4,),
        "/layers/1/branches/1",
    ),
    (
        "branches_of_other_lengths",
        [
            {
                "type": "parallel",
                "branches": [[DENSE], [{"type": "conv", "window": [2], "padding": "valid"}]],
            }
        ],
        (4, 3),
        "/layers/0/branches/1",
    ),
    ("raw_skip", [{"type": "parallel", "branches": [[], [DENSE]]}], (4,), "/layers/0/branches/0"),
    (
        "second_time_round",
        [
            DENSE,
            {
                "type": "repeat",
                "times": 3,
                "layers": [{"type": "conv", "window": [3], "padding": "valid"}],
            },
        ],
        (6, 2),
        "/layers/1/layers/0/window",
    ),
]


SKIP = attention(residual={"weight": 0.5})
CORRELATED: dict[str, Layer] = {
    "copies": parallel([], []),
    "activations": parallel([dense(), RELU], [dense(), RELU]),
    # Canonical form has no parallel of one branch, and may not change what is refused.
    "activations_in_a_branch_of_one": parallel(
        [dense(), parallel([RELU])], [dense(), parallel([RELU])]
    ),
    "activation_in_a_concat": parallel(
        [dense(), concat([RELU], [])], [dense(), concat([RELU], [dense()])]
    ),
    "activation_and_pooled_one": parallel([RELU], [], [dense()]),
    "shortcut_in_a_branch": parallel([parallel([dense()], [])], []),
    "shortcut_of_an_activation": parallel([dense(), RELU, parallel([], [dense()])], []),
    "sum_with_an_activation": parallel([dense(), parallel([RELU], [dense()])], [dense(), RELU]),
    "product_without_a_mean_of_zero": parallel([product([dense(), RELU], [])], []),
    "squared": product([], []),
    "product_with_an_activation": product([RELU], [], [dense()]),
    "product_with_a_shortcut": product([parallel([dense()], [])], []),
    "product_with_a_gate": product([product([dense()], [])], []),
    "product_with_concatenated_inputs": product([concat([dense()], [])], []),
    "product_of_unlike_channels": product(
        [concat([dense(0.4)], [dense(2.0)])], [concat([dense(0.4)], [dense(2.0)])]
    ),
}


@pytest.mark.parametrize("name", CORRELATED)
def test_branches_whose_kernels_do_not_separate(name: str) -> None:
    network = parse_architecture({"layers": [dense(), CORRELATED[name], dense()]})
    for same in (network, parse_architecture(network.canonical())):
        with pytest.raises(SpecError, match="put a dense layer") as caught:
            describe(same, (4,))
        assert caught.value.pointer == "/layers/1/branches/1"


@pytest.mark.parametrize(
    "layer",
    [
        parallel([SKIP], []),
        product([SKIP], []),
        product([FLATTEN, dense(), FLATTEN], [dense(), FLATTEN], [FLATTEN]),
    ],
)
def test_branches_of_positions_whose_kernels_do_not_separate(layer: Layer) -> None:
    with pytest.raises(SpecError, match="put a dense layer"):
        describe(parse_architecture({"layers": [dense(), layer]}), (4, 3))


def test_channels_of_concatenated_inputs_add() -> None:
    network = parse_architecture({"layers": [concat([], [FLATTEN]), concat([], [])]})
    assert describe(network, (3,)).output.channels == 12


@pytest.mark.parametrize(
    ("layers", "shape", "pointer"), [c[1:] for c in UNFIT], ids=[c[0] for c in UNFIT]
)
def test_networks_that_do_not_fit(layers: list[Any], shape: tuple[int, ...], pointer: str) -> None:
    network = parse_architecture({"layers": layers})
    with pytest.raises(SpecError) as caught:
        describe(network, shape)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("shape", [(), (0,), (4, 0), (1, 2, 3, 4, 5), (-1,)])
def test_shapes_that_are_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="shape"):
        describe(parse_architecture({"layers": [DENSE]}), shape)


def test_a_matrix_needs_a_network_without_positions_at_its_end() -> None:
    network = parse_architecture({"layers": [DENSE, RELU, DENSE]})
    inputs = read_inputs([[[1.0], [2.0]]])
    with pytest.raises(SpecError, match="global_avg_pool") as caught:
        check_job(network, inputs)
    assert caught.value.pointer == "/layers/2"
