"""Awkward networks with attention, what reads it out, and sums of branches."""

from typing import Any

from tests.kernels.case import Case
from tests.kernels.networks import (
    ABS,
    FLATTEN,
    GELU,
    LAYER_NORM,
    POOL,
    RELU,
    SPATIAL_NORM,
    SUM_POOL,
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


ATTENTION_NETWORKS = {
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
}
