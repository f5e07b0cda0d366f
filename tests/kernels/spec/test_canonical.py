"""One network, one canonical form, one digest, however it was written."""

from typing import Any

import pytest

from kernels.architecture import describe, parse_architecture

DENSE: dict[str, Any] = {"type": "dense"}
RELU: dict[str, Any] = {"type": "relu"}


def digest(*layers: dict[str, Any]) -> str:
    return parse_architecture({"layers": list(layers)}).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([DENSE], [{"type": "dense", "w_std": 1.0, "b_std": 0.0}]),
        ([DENSE], [{"b_std": 0, "w_std": 1, "type": "dense"}]),
        ([DENSE], [{"type": "dense", "b_std": -0.0}]),
        ([DENSE, RELU, DENSE, RELU], [{"type": "repeat", "times": 2, "layers": [DENSE, RELU]}]),
        (
            [DENSE] * 6,
            [
                {
                    "type": "repeat",
                    "times": 2,
                    "layers": [{"type": "repeat", "times": 3, "layers": [DENSE]}],
                }
            ],
        ),
        ([DENSE, RELU, DENSE], [DENSE, {"type": "parallel", "branches": [[RELU, DENSE]]}]),
        (
            [{"type": "conv", "window": [3]}],
            [{"type": "conv", "window": [3], "strides": [1], "padding": "same"}],
        ),
        ([{"type": "layer_norm"}], [{"type": "layer_norm", "axes": ["channel"], "eps": 1e-12}]),
        (
            [{"type": "layer_norm", "axes": ["channel", "spatial"]}],
            [{"type": "layer_norm", "axes": ["spatial", "channel"]}],
        ),
        (
            [{"type": "attention"}],
            [{"type": "attention", "mechanism": {"type": "softmax"}, "scaling": "linear"}],
        ),
        ([{"type": "attention"}], [{"type": "attention", "positional": None, "residual": None}]),
        (
            [{"type": "attention", "positional": {"merge": "sum"}}],
            [
                {
                    "type": "attention",
                    "positional": {"merge": "sum", "decay": {"type": "indicator"}, "std": 1},
                }
            ],
        ),
        (
            [{"type": "attention", "positional": {"merge": "concat"}}],
            [{"type": "attention", "positional": {"merge": "concat", "fraction": 0.5}}],
        ),
        (
            [{"type": "attention", "mechanism": "linear"}],
            [
                {
                    "type": "attention",
                    "mechanism": {
                        "type": "linear",
                        "feature_map": {"type": "elu_plus_one"},
                        "normalize": True,
                    },
                }
            ],
        ),
        (
            [{"type": "attention", "mechanism": {"type": "linear", "feature_map": "dpfp"}}],
            [
                {
                    "type": "attention",
                    "mechanism": {"type": "linear", "feature_map": {"type": "dpfp", "nu": 1}},
                }
            ],
        ),
        # The delta rule is causal whatever is said.
        (
            [{"type": "attention", "mechanism": "delta"}],
            [{"type": "attention", "mechanism": {"type": "delta", "beta": 0.5}, "causal": True}],
        ),
        (
            [{"type": "attention", "mechanism": "delta", "causal": False}],
            [{"type": "attention", "mechanism": "delta", "causal": True}],
        ),
        # Absolute values of G and -G are the same.
        (
            [{"type": "attention", "mechanism": "abs", "scaling": "sqrt"}],
            [
                {
                    "type": "attention",
                    "mechanism": "abs",
                    "scaling": "sqrt",
                    "estimator": {"samples": 256, "seed": 0, "antithetic": False},
                }
            ],
        ),
        # What has no effect has no part in the digest.
        (
            [{"type": "attention", "positional": {"merge": "sum"}}],
            [{"type": "attention", "positional": {"merge": "sum", "fraction": 0.2, "p_norm": 1}}],
        ),
        ([{"type": "attention"}], [{"type": "attention", "estimator": {"samples": 8}}]),
    ],
)
def test_spellings_of_one_network_share_a_digest(
    one: list[dict[str, Any]], other: list[dict[str, Any]]
) -> None:
    assert digest(*one) == digest(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([DENSE], [DENSE, DENSE]),
        ([DENSE], [{"type": "dense", "w_std": 1.0000000000000002}]),
        ([{"type": "conv", "window": [3]}], [{"type": "conv", "window": [3], "padding": "valid"}]),
        ([{"type": "attention"}], [{"type": "attention", "causal": True}]),
        ([{"type": "attention"}], [{"type": "attention", "residual": {"weight": 0.0}}]),
        ([{"type": "attention"}], [{"type": "attention", "mechanism": "relu"}]),
        (
            [{"type": "attention", "mechanism": "l2"}],
            [{"type": "attention", "mechanism": "l2", "causal": True}],
        ),
        (
            [{"type": "attention", "mechanism": "linear"}],
            [{"type": "attention", "mechanism": {"type": "linear", "normalize": False}}],
        ),
        # nu is without effect on the limit, but not on networks of finite width.
        (
            [{"type": "attention", "mechanism": "delta"}],
            [
                {
                    "type": "attention",
                    "mechanism": {"type": "delta", "feature_map": {"type": "dpfp", "nu": 2}},
                }
            ],
        ),
    ],
)
def test_different_networks_differ(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert digest(*one) != digest(*other)


def test_canonical_form_is_its_own_canonical_form() -> None:
    layers = [
        DENSE,
        {
            "type": "repeat",
            "times": 2,
            "layers": [{"type": "parallel", "branches": [[RELU, DENSE], []]}],
        },
        {"type": "attention", "positional": {"merge": "concat"}, "residual": {"weight": 0.2}},
        {"type": "global_avg_pool"},
    ]
    canonical = parse_architecture({"layers": layers}).canonical()
    assert parse_architecture(canonical).canonical() == canonical


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            [DENSE, RELU, DENSE],
            "fde3317b8455faf6e1722ea2064702a380e43965c69977d900e65f28920ec753",
        ),
        (
            [{"type": "attention", "qk_std": 2}, {"type": "global_avg_pool"}],
            "ac3a07a427a5a5988c5d7f245af3d8e7b5fcfa7c4f60bddc36faae7cc532d911",
        ),
        (
            [
                {"type": "conv", "window": [3, 3], "b_std": 0.1},
                {"type": "layer_norm", "axes": ["channel", "spatial"]},
                RELU,
                {"type": "flatten"},
            ],
            "694ea72eb8869c8c601c06a19cefbd604c7eb277cf2e1fd0e9b9e7a878490a09",
        ),
    ],
)
def test_digests_never_change(layers: list[dict[str, Any]], expected: str) -> None:
    """Cached tiles and stored receipts carry these; a change here orphans all of them."""
    assert digest(*layers) == expected


@pytest.mark.parametrize(
    ("layers", "shape", "grid"),
    [
        ([DENSE], (5,), ()),
        ([DENSE], (7, 5), (7,)),
        ([{"type": "conv", "window": [3], "strides": [2], "padding": "valid"}], (8, 5), (3,)),
        ([{"type": "conv", "window": [3, 2], "strides": [2, 3]}], (5, 7, 2), (3, 3)),
        ([{"type": "avg_pool", "window": [2, 2, 2]}], (4, 3, 2, 1), (3, 2, 1)),
        ([DENSE, {"type": "flatten"}], (7, 5), ()),
    ],
)
def test_description_says_which_positions_remain(
    layers: list[dict[str, Any]], shape: tuple[int, ...], grid: tuple[int, ...]
) -> None:
    assert describe(parse_architecture({"layers": layers}), shape).output.grid == grid
