"""The cases of attention."""

from __future__ import annotations

from typing import Any

from tests.kernels.finite.case import IMAGES, SEQUENCES, Case
from tests.kernels.networks import (
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    Layer,
    attention,
    conv,
    dense,
    positional,
)


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
