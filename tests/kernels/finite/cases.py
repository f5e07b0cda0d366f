"""The table of networks whose finite versions must approach the closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.kernels.networks import (
    ABS,
    ERF,
    FLATTEN,
    GELU,
    LAYER_NORM,
    POOL,
    RELU,
    SPATIAL_NORM,
    SUM_POOL,
    Layer,
    attention,
    avg_pool,
    conv,
    dense,
    parallel,
    positional,
    repeat,
)

VECTORS, SEQUENCES, IMAGES, VOLUMES = (3, 4), (3, 4, 3), (2, 3, 3, 2), (2, 2, 2, 3, 2)


class Case(NamedTuple):
    """A network and how its limit is looked for.

    Attributes:
        layers: the network.
        shape: of x1.
        mask: the kind of mask.
        cross: against other inputs, not against x1 itself.
        widths: of the finite networks.
        heads: of attention, for a width.
        heavy: kernels of one network have heavy tails: a standard error of 3 % is enough.
        scale: of the inputs.
    """

    layers: list[Layer]
    shape: tuple[int, ...] = VECTORS
    mask: str = "none"
    cross: bool = False
    widths: tuple[int, ...] = (64, 128, 256)
    heads: Callable[[int], int] = lambda width: 2
    heavy: bool = False
    scale: float = 1.0


def _twice(activation: Layer) -> Case:
    return Case([dense(), activation, dense(0.9), activation, dense()])


def _once(activation: Layer, **parameters: Any) -> Case:
    return Case([dense(0.8), activation, dense()], **parameters)


def _attends(*layers: Layer, **parameters: Any) -> Case:
    """Attention over hidden channels, with a nonlinearity that sees its output."""
    return Case([dense(), RELU, *layers, RELU, POOL, dense()], SEQUENCES, **parameters)


def _growing(width: int) -> int:
    """Logits of "sqrt" scaling stay random: heads have to go to infinity too."""
    return width // 8


DPFP: dict[str, Any] = {"type": "dpfp", "nu": 2}
SQRT: dict[str, Any] = {"mechanism": "identity", "scaling": "sqrt", "qk_std": 0.7}
HEADS: dict[str, Any] = {"scaling": "sqrt", "estimator": {"samples": 8192, "seed": 1}}
"""Estimated, with a standard error of its own that is far below that of the finite networks."""

CASES: dict[str, Case] = {
    "dense": Case([dense(), dense(0.7, 0.4), dense()]),
    "relu": _twice(RELU),
    "abs": _twice(ABS),
    "leaky_relu": _twice({"type": "leaky_relu", "alpha": -0.3}),
    "ab_relu": _twice({"type": "ab_relu", "a": 0.4, "b": -1.1}),
    "sign": _twice({"type": "sign"}),
    "erf": _twice({"type": "erf", "a": 1.3, "b": 0.8, "c": 0.4}),
    "gelu": _twice(GELU),
    "sin": _twice({"type": "sin", "a": 1.2, "b": 0.9, "c": 0.5}),
    "cos": _twice({"type": "cos", "a": 1.2, "b": 0.9, "c": 0.5}),
    "rbf": _twice({"type": "rbf", "gamma": 0.6}),
    "gaussian": _twice({"type": "gaussian", "a": 1.4, "b": -0.5}),
    "elementwise": _twice({"type": "elementwise", "fn": "tanh"}),
    "elementwise_degree": _twice({"type": "elementwise", "fn": "softplus", "degree": 40}),
    "exp": _once({"type": "exp", "a": 0.7, "b": 0.6}, heavy=True),
    "monomial": _once({"type": "monomial", "degree": 3}, heavy=True),
    "rectified_monomial": _once({"type": "rectified_monomial", "degree": 2}, heavy=True),
    "hermite": _once({"type": "hermite", "degree": 3}, heavy=True),
    "polynomial": _once({"type": "polynomial", "coef": [0.5, 1.0, -0.4, 0.2]}, heavy=True),
    # Windows.
    "conv_same": Case([conv(3), RELU, conv(2), RELU, FLATTEN, dense()], SEQUENCES),
    "conv_valid_strided": Case(
        [conv(2, padding="valid", strides=[2]), RELU, POOL, dense()], (3, 7, 3), "holes"
    ),
    "conv_circular": Case(
        [conv(3, padding="circular"), ERF, conv(2, padding="circular", strides=[2]), RELU, POOL],
        (3, 5, 3),
        "tail",
    ),
    "conv_images": Case(
        [conv(2, 3), RELU, conv(2, 2, strides=[2, 1], padding="valid"), RELU, FLATTEN, dense()],
        IMAGES,
    ),
    "conv_volumes": Case([conv(1, 2, 2), RELU, conv(2, 1, 1), RELU, POOL], VOLUMES, "holes"),
    "avg_pool": Case(
        [conv(2), RELU, avg_pool(3, padding="same", strides=[2]), dense(), RELU, FLATTEN],
        (3, 5, 3),
        "holes",
    ),
    "avg_pool_circular": Case(
        [dense(), RELU, avg_pool(2, 2, padding="circular"), dense(), RELU, POOL], IMAGES
    ),
    "sum_pool": Case(
        [dense(0.6), RELU, {"type": "sum_pool", "window": [2]}, dense(0.5), RELU, POOL, dense()],
        SEQUENCES,
    ),
    "global_avg_pool": Case([dense(), RELU, POOL, dense(), RELU, dense()], SEQUENCES, "holes"),
    "global_sum_pool": Case([conv(2), RELU, SUM_POOL, dense(0.3), RELU], SEQUENCES, "tail"),
    "flatten": Case([FLATTEN, dense(), RELU, dense()], SEQUENCES, "holes", cross=True),
    # Normalisation, noise, structure.
    "layer_norm": Case([dense(), LAYER_NORM, RELU, dense(), LAYER_NORM, ERF, dense()]),
    "layer_norm_eps": Case([dense(), {**LAYER_NORM, "eps": 0.5}, RELU, POOL], SEQUENCES, "tail"),
    "layer_norm_spatial": Case(
        [conv(3), SPATIAL_NORM, RELU, conv(2), SPATIAL_NORM, RELU, POOL, dense()],
        SEQUENCES,
        "holes",
    ),
    "dropout": Case(
        [dense(), RELU, {"type": "dropout", "rate": 0.7}, dense(), RELU, dense()],
    ),
    "dropout_cross": Case(
        [conv(2), RELU, {"type": "dropout", "rate": 0.6}, dense(), RELU, FLATTEN],
        SEQUENCES,
        cross=True,
    ),
    "parallel": Case(
        [dense(), parallel([RELU, dense(), RELU, dense(0.5)], []), RELU, dense()], VECTORS
    ),
    "parallel_product": Case(
        [
            dense(),
            {"type": "parallel", "merge": "product", "branches": [[RELU, dense()], [dense(0.7)]]},
            dense(),
        ],
        heavy=True,
    ),
    "parallel_product_gate": Case(
        [
            dense(),
            RELU,
            {"type": "parallel", "merge": "product", "branches": [[dense()], []]},
            POOL,
            dense(),
        ],
        SEQUENCES,
        "holes",
        heavy=True,
    ),
    "parallel_concat": Case(
        [
            dense(),
            {"type": "parallel", "merge": "concat", "branches": [[RELU], [dense()], []]},
            dense(),
            RELU,
            dense(),
        ]
    ),
    "parallel_concat_raw": Case(
        [
            {"type": "parallel", "merge": "concat", "branches": [[dense()], [dense(), RELU]]},
            dense(),
            RELU,
        ]
    ),
    "repeat": Case([dense(), repeat(2, RELU, dense(0.9)), RELU, dense()]),
    # Attention; mechanisms under "linear" scaling.
    "softmax": _attends(attention()),
    "softmax_raw": Case([attention(), RELU, FLATTEN, dense()], SEQUENCES, "holes"),
    "softmax_causal": _attends(attention(causal=True), mask="holes"),
    "softmax_twice": _attends(attention(), LAYER_NORM, RELU, attention(), mask="tail"),
    "softmax_images": Case(
        [conv(2, 2), RELU, attention(positional=positional("sum", "exponential")), RELU, POOL],
        IMAGES,
        "holes",
    ),
    "relu_scores": Case([dense(0.8), attention("relu"), POOL, dense()], SEQUENCES, heavy=True),
    "abs_scores": Case(
        [dense(0.8), attention("abs"), POOL], SEQUENCES, "holes", cross=True, heavy=True
    ),
    "identity_scores": Case([dense(0.8), attention("identity"), POOL], SEQUENCES, heavy=True),
    "sparsemax": _attends(attention("sparsemax"), mask="holes"),
    "l2": _attends(attention("l2"), mask="holes"),
    "linear_elu": _attends(attention("linear", causal=True), mask="tail"),
    "linear_relu": _attends(attention({"type": "linear", "feature_map": "relu"})),
    "linear_dpfp": _attends(
        attention({"type": "linear", "feature_map": {"type": "dpfp", "nu": 3}}), mask="holes"
    ),
    "linear_elu_sums": Case(
        [dense(0.8), attention({"type": "linear", "normalize": False}), POOL, dense()],
        SEQUENCES,
        "holes",
        heavy=True,
    ),
    "linear_relu_sums": Case(
        [
            dense(0.8),
            attention({"type": "linear", "feature_map": "relu", "normalize": False}, causal=True),
            POOL,
        ],
        SEQUENCES,
        heavy=True,
    ),
    "linear_dpfp_sums": Case(
        [dense(0.8), attention({"type": "linear", "feature_map": DPFP, "normalize": False}), POOL],
        SEQUENCES,
        heavy=True,
    ),
    "delta_elu": _attends(
        attention({"type": "delta", "feature_map": "elu_plus_one", "beta": 0.7}), mask="holes"
    ),
    "delta_relu": _attends(attention({"type": "delta", "feature_map": "relu", "beta": 1.5})),
    "delta_dpfp": Case(
        [dense(), attention({"type": "delta", "feature_map": DPFP, "beta": 0.5}), RELU, FLATTEN],
        SEQUENCES,
        "tail",
    ),
    # At finite width it is softmax, which the tolerance keeps the limit to.
    "softmax_of_a_rank": _attends(
        attention({"type": "softmax", "rank": 3, "tolerance": 1e-4}), mask="tail"
    ),
    # Its own error stays: with so many features, well under a standard error.
    "performer": _attends(
        attention({"type": "performer", "features": 2**14, "variant": "trigonometric"}),
        mask="holes",
    ),
    "residual": Case(
        [dense(), attention(residual={"weight": 0.4}), RELU, FLATTEN, dense()], SEQUENCES, "tail"
    ),
    "positions_sum": _attends(attention(positional=positional("sum", "rational"))),
    "positions_sum_raw": Case(
        [attention(positional=positional("sum", "rational", in_values=True)), RELU, POOL],
        SEQUENCES,
        "holes",
    ),
    "positions_sum_in_values": _attends(
        attention(positional=positional("sum", "exponential", in_values=True)), mask="tail"
    ),
    "positions_concat": _attends(
        attention(positional=positional("concat", "rational", fraction=0.3)), mask="holes"
    ),
    "positions_concat_in_values": _attends(
        attention(positional=positional("concat", in_values=True)), cross=True
    ),
    # "sqrt" scaling, where logits stay random.
    "sqrt_identity": Case(
        [dense(), attention(**SQRT), POOL],
        SEQUENCES,
        widths=(32, 64, 128),
        heads=_growing,
        heavy=True,
    ),
    "sqrt_softmax": Case(
        [dense(), RELU, attention(**HEADS, qk_std=2.0), RELU, POOL, dense()],
        SEQUENCES,
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_softmax_positions": Case(
        [
            dense(),
            attention(
                **HEADS, causal=True, positional=positional("sum", "rational", in_values=True)
            ),
            FLATTEN,
            dense(),
        ],
        SEQUENCES,
        "holes",
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_sparsemax": Case(
        [dense(), attention("sparsemax", **HEADS), RELU, POOL],
        SEQUENCES,
        "tail",
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_relu": Case(
        [dense(0.8), attention("relu", **HEADS), POOL, dense()],
        SEQUENCES,
        cross=True,
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_abs": Case(
        [dense(0.8), attention("abs", **HEADS), FLATTEN],
        SEQUENCES,
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_identity_relu": Case(
        [dense(), attention(**SQRT, causal=True), RELU, FLATTEN, dense()],
        SEQUENCES,
        "holes",
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
    "sqrt_identity_positions": Case(
        [
            dense(),
            attention(**SQRT, positional=positional("sum", "rational", in_values=True)),
            POOL,
        ],
        SEQUENCES,
        heads=_growing,
        widths=(32, 64, 128),
        heavy=True,
    ),
}

FAST = ("relu", "layer_norm_spatial", "dropout", "positions_concat")
"""A representative handful for every run of the tests, with larger standard errors."""
