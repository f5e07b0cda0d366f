"""kernel_matrix against the spelled-out definition, on networks and shapes chosen to be awkward."""

from typing import Any, NamedTuple

import pytest

from tests.kernels.agreement import assert_as_defined
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

SQRT: dict[str, Any] = {"mechanism": "identity", "scaling": "sqrt"}
FEED_FORWARD = parallel([dense(), RELU, dense()], [])


class Case(NamedTuple):
    """A network, the shapes of both sides (None: X against X), and the kind of mask."""

    layers: list[Layer]
    shape1: tuple[int, ...]
    shape2: tuple[int, ...] | None
    mask: str = "none"


CASES = {
    # Vectors.
    "linear": Case([dense()], (3, 4), (2, 4)),
    "one_by_one_channel": Case([dense(), RELU, dense()], (1, 1), (1, 1)),
    "one_against_many": Case([dense(), ABS, dense(), GELU, dense()], (1, 3), (19, 3)),
    "leaky_below_zero": Case(
        [dense(), {"type": "leaky_relu", "alpha": -0.3}, dense()], (3, 4), None
    ),
    "erf_scaled": Case(
        [dense(), {"type": "erf", "a": -0.7, "b": 2.5, "c": 0.4}, dense()], (3, 4), (2, 4)
    ),
    "nested_sums": Case(
        [
            dense(),
            parallel(
                [RELU, dense(), parallel([GELU, dense(0.5)], [], [ABS, dense(0.3)])],
                [],
                [repeat(2, RELU, dense(0.9))],
            ),
            LAYER_NORM,
            RELU,
            dense(),
        ],
        (3, 4),
        (2, 4),
    ),
    "flatten_of_vectors": Case([dense(), {"type": "flatten"}, RELU, dense()], (3, 4), None),
    "waves_and_bumps": Case(
        [
            dense(),
            {"type": "sin", "a": 0.8, "b": -1.2, "c": 0.3},
            dense(),
            {"type": "rbf", "gamma": 0.4},
            dense(),
            {"type": "gaussian", "a": 1.1, "b": -0.6},
            dense(0.5),
            {"type": "exp", "a": 0.9, "b": 0.4},
            dense(),
        ],
        (3, 4),
        None,
    ),
    "powers": Case(
        [
            dense(0.5),
            {"type": "rectified_monomial", "degree": 3},
            dense(0.3),
            {"type": "polynomial", "coef": [0.2, -0.5, 0.0, 0.1]},
            dense(0.5),
            LAYER_NORM,
            {"type": "hermite", "degree": 4},
            dense(),
        ],
        (3, 4),
        (2, 4),
    ),
    # Sequences through windows.
    "single_position": Case([conv(1), RELU, attention(), RELU, POOL], (2, 1, 3), (3, 1, 3)),
    "window_over_the_edge": Case([conv(9), RELU, conv(4), RELU, FLATTEN], (2, 5, 3), (3, 5, 3)),
    "even_windows_valid": Case(
        [conv(2, padding="valid"), RELU, conv(4, padding="valid", strides=[3]), RELU, POOL],
        (2, 11, 3),
        (2, 11, 3),
    ),
    "strided_circular": Case(
        [conv(4, padding="circular", strides=[3]), RELU, conv(3, padding="circular"), ABS, FLATTEN],
        (2, 10, 3),
        None,
    ),
    "strided_same_holes": Case(
        [conv(3, strides=[2]), RELU, conv(2, strides=[2]), RELU, SUM_POOL],
        (3, 9, 3),
        (2, 9, 3),
        "holes",
    ),
    "strided_valid_tail": Case(
        [conv(4, strides=[2], padding="valid"), RELU, POOL, dense(), RELU, dense()],
        (3, 11, 3),
        (2, 11, 3),
        "tail",
    ),
    "circular_holes": Case(
        [conv(3, padding="circular"), RELU, conv(2, padding="circular"), RELU, FLATTEN],
        (3, 7, 2),
        None,
        "holes",
    ),
    "pool_strides_on_masks": Case(
        [
            conv(3),
            RELU,
            avg_pool(3, strides=[2], padding="same"),
            {"type": "sum_pool", "window": [2], "strides": [2], "padding": "valid"},
            dense(0.5),
            RELU,
            POOL,
        ],
        (3, 10, 3),
        (2, 10, 3),
        "holes",
    ),
    "circular_pool": Case(
        [dense(), RELU, avg_pool(3, padding="circular"), dense(), RELU, POOL], (2, 5, 3), None
    ),
    "pool_of_raw_input": Case(
        [avg_pool(2), dense(), RELU, POOL, dense()], (2, 7, 3), (3, 7, 3), "tail"
    ),
    "pool_then_relu": Case(
        [dense(), POOL, RELU, dense(), LAYER_NORM, RELU, dense()], (3, 5, 3), (2, 5, 3), "holes"
    ),
    "flatten_dense_relu": Case(
        [FLATTEN, dense(), RELU, dense(), GELU, dense()], (3, 4, 2), (2, 4, 2), "holes"
    ),
    "different_lengths": Case(
        [conv(3), RELU, attention(), RELU, POOL, dense()], (2, 4, 3), (3, 7, 3)
    ),
    "different_lengths_masked": Case(
        [dense(), RELU, attention(positional=positional("sum", "rational")), LAYER_NORM, POOL],
        (2, 12, 3),
        (3, 5, 3),
        "tail",
    ),
    "cut_at_a_bucket": Case(
        [conv(4), RELU, attention(), LAYER_NORM, POOL, RELU, dense()], (4, 37, 2), None, "tail"
    ),
    "one_real_position": Case(
        [conv(3), SPATIAL_NORM, RELU, attention(), RELU, POOL], (3, 6, 2), (2, 6, 2), "one"
    ),
    "spatial_norm_holes": Case(
        [conv(3), SPATIAL_NORM, RELU, dense(), SPATIAL_NORM, ERF, FLATTEN],
        (3, 7, 3),
        None,
        "holes",
    ),
    # Attention and what reads it out.
    "attention_only": Case([attention(), POOL], (3, 5, 4), (2, 5, 4)),
    "readout_of_three": Case(
        [dense(), RELU, attention(), attention("relu"), dense(), attention(causal=True), POOL],
        (3, 6, 3),
        (2, 6, 3),
        "holes",
    ),
    "readout_sum_pool": Case(
        [attention(), dense(), attention("abs"), SUM_POOL, dense(0.3)], (3, 5, 3), None, "tail"
    ),
    "attention_norm_pool": Case(
        [conv(3), RELU, attention(), LAYER_NORM, dense(), SPATIAL_NORM, POOL, dense()],
        (3, 6, 3),
        (2, 6, 3),
        "holes",
    ),
    "attention_flatten": Case(
        [dense(), RELU, attention("identity"), FLATTEN, dense(), RELU, dense()],
        (3, 5, 3),
        (2, 5, 3),
        "tail",
    ),
    "attention_conv_attention": Case(
        [attention(), conv(3), RELU, attention("abs"), conv(2, strides=[2]), RELU, POOL],
        (2, 6, 3),
        None,
        "holes",
    ),
    "causal_holes": Case(
        [dense(), RELU, attention(causal=True), RELU, attention("relu", causal=True), FLATTEN],
        (3, 6, 3),
        (2, 6, 3),
        "holes",
    ),
    "positions_in_values": Case(
        [
            dense(),
            RELU,
            attention(positional=positional("sum", "exponential", in_values=True, p_norm=1)),
            attention("relu", positional=positional("concat", "rational", fraction=0.3)),
            POOL,
        ],
        (3, 5, 3),
        (2, 5, 3),
        "holes",
    ),
    "concat_in_values_raw": Case(
        [attention(positional=positional("concat", in_values=True)), RELU, FLATTEN],
        (3, 5, 3),
        None,
        "tail",
    ),
    "residual": Case(
        [
            dense(),
            attention(residual={"weight": 0.4}, positional=positional("sum")),
            RELU,
            dense(),
            attention(residual={"weight": 0.0}),
            FEED_FORWARD,
            POOL,
        ],
        (3, 5, 3),
        (2, 5, 3),
        "holes",
    ),
    "residual_flatten": Case(
        [dense(), attention(residual={"weight": 0.7}), FLATTEN, dense()], (3, 5, 3), None, "tail"
    ),
    "sqrt_causal_holes": Case(
        [dense(), attention(**SQRT, causal=True), RELU, POOL], (3, 5, 3), (2, 5, 3), "holes"
    ),
    "sqrt_concat_in_values": Case(
        [
            dense(),
            RELU,
            attention(**SQRT, positional=positional("concat", "rational", in_values=True)),
            RELU,
            FLATTEN,
        ],
        (2, 4, 3),
        None,
        "tail",
    ),
    "sqrt_sum_residual": Case(
        [
            dense(0.6),
            attention(**SQRT, positional=positional("sum"), residual={"weight": 0.5}),
            attention(**SQRT, causal=True, positional=positional("sum", in_values=True)),
            POOL,
        ],
        (2, 4, 3),
        (2, 4, 3),
        "holes",
    ),
    "transformer_pre_norm": Case(
        [
            dense(),
            repeat(
                2,
                parallel([LAYER_NORM, attention(positional=positional("sum", "rational"))], []),
                parallel([LAYER_NORM, dense(), GELU, dense()], []),
            ),
            LAYER_NORM,
            POOL,
            dense(),
        ],
        (2, 5, 3),
        (2, 5, 3),
        "tail",
    ),
    "sum_of_attention_and_window": Case(
        [dense(), parallel([RELU, conv(3)], [attention()], []), POOL, dense(), RELU, dense()],
        (3, 5, 3),
        (2, 5, 3),
        "holes",
    ),
    "sum_of_two_readouts": Case(
        [dense(), parallel([RELU, dense(), POOL, dense()], [ABS, conv(2), FLATTEN, dense()]), RELU],
        (2, 5, 3),
        (2, 5, 3),
    ),
    "product_of_attention_and_window": Case(
        [
            dense(),
            {
                "type": "parallel",
                "merge": "product",
                "branches": [[RELU, conv(3)], [attention()], [dense(0.7)]],
            },
            dense(),
            RELU,
            POOL,
        ],
        (2, 5, 3),
        (2, 5, 3),
        "holes",
    ),
    "concat_then_norm": Case(
        [
            dense(),
            {
                "type": "parallel",
                "merge": "concat",
                "branches": [[RELU, conv(2)], [attention(causal=True), RELU, dense()]],
            },
            dense(),
            LAYER_NORM,
            RELU,
            FLATTEN,
        ],
        (2, 5, 3),
        None,
        "tail",
    ),
    "dropout_on_positions": Case(
        [
            dense(),
            RELU,
            {"type": "dropout", "rate": 0.6},
            attention(),
            {"type": "dropout", "rate": 0.8},
            conv(3),
            RELU,
            POOL,
        ],
        (3, 5, 3),
        None,
        "holes",
    ),
    "dropout_of_two_sides": Case(
        [dense(), RELU, {"type": "dropout", "rate": 0.6}, conv(3), RELU, FLATTEN],
        (2, 5, 3),
        (2, 5, 3),
        "tail",
    ),
    "sum_of_other_masks": Case(
        [
            dense(),
            parallel(
                [conv(3, padding="valid"), RELU, dense()], [conv(2, padding="valid"), avg_pool(2)]
            ),
            RELU,
            FLATTEN,
        ],
        (2, 6, 3),
        (2, 6, 3),
    ),
    # Images and volumes.
    "image_rectangles": Case(
        [
            conv(3, 2, strides=[1, 2]),
            RELU,
            {"type": "sum_pool", "window": [2, 1], "padding": "same"},
            conv(2, 2, padding="valid"),
            RELU,
            FLATTEN,
        ],
        (2, 3, 5, 2),
        (2, 3, 5, 2),
        "holes",
    ),
    "image_attention": Case(
        [
            conv(2, 2),
            RELU,
            attention(causal=True, positional=positional("sum", "exponential", p_norm=1)),
            RELU,
            POOL,
        ],
        (2, 3, 4, 2),
        (2, 3, 4, 2),
        "holes",
    ),
    "image_one_row": Case(
        [conv(1, 3, padding="circular"), ABS, avg_pool(1, 2, strides=[1, 2]), dense(), RELU, POOL],
        (2, 1, 7, 1),
        None,
    ),
    "volume": Case(
        [
            conv(2, 1, 3, padding="same"),
            RELU,
            avg_pool(1, 2, 2, strides=[2, 1, 1], padding="same"),
            conv(1, 2, 1, padding="circular"),
            RELU,
            POOL,
            dense(),
        ],
        (2, 3, 2, 3, 2),
        None,
        "holes",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_what_the_definition_says(name: str) -> None:
    assert_as_defined(*CASES[name])
