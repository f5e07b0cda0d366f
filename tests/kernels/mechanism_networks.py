"""Awkward networks with the attention mechanisms whose weights are not softmax or elementwise."""

from typing import Any

from tests.kernels.case import Case
from tests.kernels.networks import (
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    SUM_POOL,
    attention,
    conv,
    dense,
    positional,
)

RELU_MAP: dict[str, Any] = {"type": "linear", "feature_map": "relu"}
DPFP_MAP: dict[str, Any] = {"type": "linear", "feature_map": {"type": "dpfp", "nu": 3}}
SUMS: dict[str, Any] = {"type": "linear", "normalize": False}
RELU_DELTA: dict[str, Any] = {"type": "delta", "feature_map": "relu", "beta": 1.4}
ELU_DELTA: dict[str, Any] = {"type": "delta", "feature_map": "elu_plus_one", "beta": 0.8}

SEQUENCES = ((3, 5, 3), (2, 5, 3))
IMAGES = ((2, 3, 4, 2), (2, 3, 4, 2))
HIDDEN = [dense(), RELU]


def _everywhere(name: str, mechanism: str | dict[str, Any]) -> dict[str, Case]:
    """One mechanism in the places where attention is done differently."""
    embedded = positional("sum", "exponential", p_norm=1)
    halves = positional("concat", "rational", in_values=True)
    return {
        f"{name}_holes": Case(
            [*HIDDEN, attention(mechanism), RELU, FLATTEN, dense()], *SEQUENCES, "holes"
        ),
        f"{name}_causal_tail": Case(
            [*HIDDEN, attention(mechanism, causal=True), LAYER_NORM, RELU, POOL],
            *SEQUENCES,
            "tail",
        ),
        f"{name}_image_positions": Case(
            [conv(2, 2), RELU, attention(mechanism, positional=embedded), RELU, POOL],
            *IMAGES,
            "holes",
        ),
        f"{name}_concat_in_values": Case(
            [dense(), attention(mechanism, positional=halves), RELU, FLATTEN], (3, 5, 3), None
        ),
        f"{name}_residual": Case(
            [dense(), attention(mechanism, residual={"weight": 0.3}), RELU, POOL],
            (3, 5, 3),
            None,
            "holes",
        ),
        f"{name}_readout": Case(
            [*HIDDEN, attention(mechanism), dense(), attention(mechanism, causal=True), SUM_POOL],
            *SEQUENCES,
            "holes",
        ),
        f"{name}_raw_one_real": Case([attention(mechanism), RELU, POOL], (3, 6, 2), None, "one"),
    }


MECHANISM_NETWORKS = {
    **_everywhere("sparsemax", "sparsemax"),
    **_everywhere("l2", "l2"),
    **_everywhere("linear", "linear"),
    **_everywhere("linear_relu", RELU_MAP),
    **_everywhere("linear_dpfp", DPFP_MAP),
    **_everywhere("linear_sums", SUMS),
    **_everywhere("delta", "delta"),
    **_everywhere("delta_relu", RELU_DELTA),
    **_everywhere("delta_elu", ELU_DELTA),
}

SLOW = {name for name in MECHANISM_NETWORKS if name.startswith(("linear_", "delta_"))}
"""Variants of what the others cover; their mixing matrices alone are tested every time."""
