"""Networks with estimated attention whose kernels are integrals over two logits at a time."""

from __future__ import annotations

from typing import Any

from tests.kernels.case import Case
from tests.kernels.networks import (
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    SUM_POOL,
    Layer,
    attention,
    avg_pool,
    conv,
    dense,
    parallel,
    positional,
)


def estimated(mechanism: str = "softmax", samples: int = 1024, **parameters: Any) -> Layer:
    """Attention under "sqrt" scaling."""
    parameters = {"qk_std": 1.2, "ov_std": 1.1, "b_std": 0.3} | parameters
    return attention(
        mechanism, scaling="sqrt", estimator={"samples": samples, "seed": 3}, **parameters
    )


PAIRS = (4, 2, 3)  # two positions: softmax has one difference of logits
CASES = {
    "softmax_raw": Case([estimated(), POOL], PAIRS, None),
    "softmax_bias": Case([dense(1.2, 0.5), estimated(), FLATTEN, dense()], PAIRS, (3, 2, 3)),
    "softmax_tail": Case([dense(), estimated(), RELU, POOL, dense()], (6, 2, 3), None, "tail"),
    "softmax_causal": Case([estimated(causal=True), RELU, FLATTEN], PAIRS, (2, 2, 3)),
    "softmax_positions": Case(
        [estimated(positional=positional("sum", "rational")), dense(), SUM_POOL], PAIRS, None
    ),
    "softmax_positions_in_values": Case(
        [dense(), estimated(positional=positional("concat", in_values=True)), RELU, POOL],
        PAIRS,
        None,
    ),
    "softmax_residual": Case(
        [dense(), estimated(residual={"weight": 0.3}), dense(), POOL], (6, 2, 3), None, "tail"
    ),
    "softmax_above_relu": Case(
        [dense(1.3, 0.2), RELU, estimated(), RELU, POOL, dense()], PAIRS, (3, 2, 3)
    ),
    "softmax_above_relu_with_positions": Case(
        [dense(), RELU, estimated(positional=positional("sum", "exponential")), FLATTEN],
        PAIRS,
        None,
        "tail",
    ),
    "softmax_twice": Case(
        [dense(), estimated(), RELU, dense(), estimated(samples=512), RELU, POOL], PAIRS, None
    ),
    "softmax_below_attention": Case(
        [estimated(), LAYER_NORM, RELU, attention(), POOL], PAIRS, None
    ),
    "softmax_in_branches": Case(
        [
            dense(),
            parallel([estimated()], [RELU, dense(0.8), estimated("relu")], []),
            LAYER_NORM,
            RELU,
            POOL,
        ],
        PAIRS,
        (2, 2, 3),
    ),
    "softmax_of_a_strided_grid": Case(
        [conv(2, padding="valid", strides=[2]), RELU, estimated(), POOL], (3, 5, 2), None, "holes"
    ),
    "sparsemax": Case(
        [dense(1.1, 0.3), estimated("sparsemax", samples=2048), RELU, POOL], PAIRS, (3, 2, 3)
    ),
    "sparsemax_causal": Case([estimated("sparsemax", causal=True), dense(), FLATTEN], PAIRS, None),
    "relu_holes": Case([dense(0.8), estimated("relu"), POOL], (3, 5, 3), (2, 5, 3), "holes"),
    "relu_causal_images": Case(
        [dense(), estimated("relu", causal=True, qk_std=0.6), RELU, FLATTEN, dense()],
        (3, 2, 2, 2),
        None,
    ),
    "relu_concat": Case(
        [estimated("relu", positional=positional("concat", "rational", fraction=0.3)), POOL],
        (3, 4, 3),
        None,
        "holes",
    ),
    "abs": Case([dense(0.8), estimated("abs"), LAYER_NORM, RELU, POOL], (3, 5, 3), None, "tail"),
    "abs_above_pool": Case(
        [dense(), RELU, avg_pool(2), estimated("abs", qk_std=0.7), FLATTEN], (3, 5, 3), (2, 5, 3)
    ),
}
