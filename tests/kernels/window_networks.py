"""Awkward networks of activations, windows and masks, on vectors, sequences, images, volumes."""

from tests.kernels.case import Case
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
    attention,
    avg_pool,
    concat,
    conv,
    dense,
    parallel,
    positional,
    product,
    repeat,
)

WINDOW_NETWORKS = {
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
    # Branches whose masks differ: strided windows of other sizes look at other positions.
    "branches_mask_otherwise": Case(
        [
            conv(1),
            RELU,
            parallel(
                [conv(4, strides=[2])],
                [avg_pool(1, strides=[2], padding="same"), dense()],
                [conv(3, strides=[2])],
            ),
            RELU,
            dense(),
            POOL,
        ],
        (4, 10, 2),
        (3, 10, 2),
        "holes",
    ),
    "branches_trim_otherwise": Case(
        [
            conv(1),
            parallel(
                [conv(3, padding="valid")],
                [RELU, avg_pool(2), conv(2, padding="valid")],
            ),
            SPATIAL_NORM,
            RELU,
            dense(),
            FLATTEN,
        ],
        (4, 9, 2),
        None,
        "holes",
    ),
    "image_branches_concatenated": Case(
        [
            conv(1, 1),
            RELU,
            concat([conv(3, 3, strides=[2, 1])], [conv(1, 1, strides=[2, 1])]),
            dense(),
            RELU,
            POOL,
        ],
        (3, 4, 3, 2),
        (2, 4, 3, 2),
        "holes",
    ),
    "one_branch_without_weights": Case(
        [
            conv(2),
            parallel(
                [avg_pool(2, strides=[2], padding="same")], [conv(3, strides=[2]), GELU, conv(1)]
            ),
            dense(),
            product([conv(2), RELU], [dense(), ABS], []),
            parallel([dense(), product([dense()], [])], []),
            POOL,
            dense(),
        ],
        (3, 7, 2),
        (2, 7, 2),
        "holes",
    ),
    "branches_multiplied": Case(
        [
            conv(1),
            RELU,
            product([conv(3, strides=[2])], [conv(2, strides=[2])]),
            attention(),
            POOL,
        ],
        (4, 10, 2),
        None,
        "holes",
    ),
}
