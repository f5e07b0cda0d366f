"""The table of networks whose finite versions must approach the closed form."""

from __future__ import annotations

from typing import Any

from tests.kernels.finite import attention_cases
from tests.kernels.finite.case import IMAGES, SEQUENCES, VECTORS, VOLUMES, Case
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
    product,
    repeat,
)

SIGMOID: Layer = {"type": "elementwise", "fn": "sigmoid"}
DROPOUT: Layer = {"type": "dropout", "rate": 0.7}
SKIP: Layer = attention(residual={"weight": 0.4})


def _twice(activation: Layer) -> Case:
    return Case([dense(), activation, dense(0.9), activation, dense()])


def _once(activation: Layer, **parameters: Any) -> Case:
    return Case([dense(0.8), activation, dense()], **parameters)


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
    # One branch may lack weights of its own, or those of a product weights at all.
    "gated": Case([dense(), RELU, product([dense()], [dense(0.7), SIGMOID]), dense()]),
    "gated_inputs": Case([product([dense()], [dense(0.7), SIGMOID]), dense()]),
    "product_of_activations": Case(
        [dense(), RELU, product([dense(), RELU], [dense(), SIGMOID], []), dense()]
    ),
    "pooled_shortcut": Case(
        [
            conv(3),
            parallel([avg_pool(2, strides=[2])], [conv(2, strides=[2]), RELU, conv(3)]),
            RELU,
            POOL,
        ],
        SEQUENCES,
        "holes",
    ),
    "pooled_shortcut_of_activations": Case(
        [conv(2), RELU, parallel([avg_pool(2)], [conv(2, padding="valid"), RELU, conv(1)]), POOL],
        SEQUENCES,
    ),
    "shortcut_with_dropout": Case(
        [dense(), RELU, parallel([DROPOUT], [dense(), RELU, dense(0.5)]), dense(), RELU, dense()]
    ),
    "shortcut_of_flattened": Case(
        [dense(), RELU, FLATTEN, parallel([DROPOUT], [dense()]), dense(), RELU, dense()],
        SEQUENCES,
        "tail",
        widths=(32, 64, 128),
    ),
    "two_activations": Case([dense(), RELU, parallel([dense(), RELU], [dense(), ABS, dense()])]),
    "gated_shortcut": Case([dense(), RELU, parallel([product([dense()], [])], []), dense()]),
    "gate_of_own_weights": Case(
        [dense(), parallel([dense(), product([], [dense(), SIGMOID])], [RELU]), dense()]
    ),
    "shortcut_of_own_weights": Case(
        [dense(), parallel([dense(), parallel([], [RELU, dense()])], [RELU]), dense(), RELU]
    ),
    "product_of_sums": Case(
        [dense(), RELU, product([dense(), parallel([RELU], [dense()])], []), dense()]
    ),
    "skipping_attention": Case([dense(), parallel([SKIP], [RELU, dense()]), RELU, POOL], SEQUENCES),
    "gated_attention": Case(
        [dense(), product([SKIP], [attention(), SIGMOID]), POOL, dense()], SEQUENCES, "tail"
    ),
    "repeat": Case([dense(), repeat(2, RELU, dense(0.9)), RELU, dense()]),
} | attention_cases.CASES


FAST = ("relu", "dropout", "gated")
"""A representative handful for every run of the tests, with larger standard errors."""
