"""The additive evaluation against the exact one."""

from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.demand import packing_gap
from kernels.engine.tile import compute_tile
from kernels.errors import KernelError, NumericsError, Stopped
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import Additive
from tests.kernels.networks import (
    ERF,
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    SPATIAL_NORM,
    SUM_POOL,
    Array,
    Layer,
    attention,
    conv,
    dense,
    entries,
    masks,
    parallel,
    positional,
)

OUTPUTS = ("nngp", "ntk")
GELU = {"type": "gelu"}
NETWORKS: dict[str, list[Layer]] = {
    "flat": [dense(), RELU, attention(qk_std=0.3), RELU, POOL, dense()],
    "sharp": [dense(), RELU, attention(qk_std=8.0, b_std=0.2), RELU, POOL, dense()],
    "imdb": [
        conv(3, padding="valid"), RELU, attention(positional=positional("sum", "rational")), RELU,
        POOL, dense(),
    ],
    "causal_sum": [dense(), attention(causal=True), GELU, SUM_POOL, dense(), RELU, dense()],
    "deep": [attention(), RELU, attention(), dense(), LAYER_NORM, RELU, dense(), RELU, POOL],
    "in_values": [
        dense(), RELU, attention(positional=positional("concat", "exponential", in_values=True)),
        parallel([RELU, dense()], []), RELU, POOL,
    ],
}  # fmt: skip


def walks(n: int, size: int = 14) -> Array:
    """Sequences whose neighbouring positions are alike, as words of one text are."""
    return np.cumsum(entries((n, size, 4)), axis=1) / size**0.5


def errors(approximate: dict[str, Array], exact: dict[str, Array]) -> float:
    """The largest, relative to sqrt(K(x, x) K(x', x'))."""
    return max(
        float((np.abs(approximate[o] - k) / np.sqrt(np.outer(np.diag(k), np.diag(k)))).max())
        for o, k in exact.items()
    )


def both(layers: list[Layer], tolerance: float, **given: Any) -> tuple[Any, Any]:
    network = {"layers": layers}
    method = {"type": "additive", "tolerance": tolerance}
    return kernel_matrix(network, **given, method=method), kernel_matrix(network, **given)


@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("name", NETWORKS)
def test_errors_stay_below_the_tolerance(name: str, masked: bool) -> None:
    """The pairs that are kept have estimates below it, so errors above would violate them."""
    x = walks(7)
    mask = masks("tail", x.shape, 0) if masked else None
    for tolerance in (1e-2, 1e-4, 1e-6):
        made, exact = both(NETWORKS[name], tolerance, x1=x, mask1=mask, dtype="float64")
        assert errors(made, exact) <= tolerance
        for output in OUTPUTS:
            np.testing.assert_array_equal(made[output], made[output].T)
            np.testing.assert_array_equal(np.diag(made[output]), np.diag(exact[output]))


@pytest.mark.parametrize("name", ["flat", "imdb"])
def test_the_diagonal_is_that_of_the_matrix(name: str) -> None:
    x = walks(7)
    mask = masks("tail", x.shape, 0)
    given: dict[str, Any] = {"method": {"type": "additive", "tolerance": 1e-2}}
    network = {"layers": NETWORKS[name]}
    whole = kernel_matrix(network, x, mask1=mask, **given)
    alone = kernel_matrix(network, x, mask1=mask, form="diagonal", **given)
    assert alone.error_estimate == {"additive": 0.0}
    # Of two sides row i with row i, exactly.
    sides = {"x2": x[::-1], "mask2": None if mask is None else mask[::-1]}
    paired = kernel_matrix(
        network, x, mask1=mask, form="diagonal", dtype="float64", **sides, **given
    )
    exact = kernel_matrix(network, x, mask1=mask, form="diagonal", dtype="float64", **sides)
    for output in OUTPUTS:
        np.testing.assert_array_equal(alone[output], np.diag(whole[output]))
        np.testing.assert_allclose(paired[output], exact[output], rtol=1e-7)


def test_flat_attention_is_additive_and_not_computed_exactly() -> None:
    made, exact = both(NETWORKS["flat"], 1e-2, x1=walks(7), dtype="float64")
    assert 0 < errors(made, exact) < 1e-5


@pytest.mark.parametrize("form", ["itself", "both sides"])
def test_one_input_alone(form: str) -> None:
    """Of which there are no pairs i < j; the last group of any job may be one."""
    x = walks(1)
    x2 = None if form == "itself" else x
    made, exact = both(NETWORKS["flat"], 1e-2, x1=x, x2=x2, dtype="float64")
    assert errors(made, exact) <= 1e-2
    if form == "itself":
        assert made["ntk"] == exact["ntk"]
        assert made.error_estimate == {"additive": 0.0}


def test_the_estimate_is_given_and_not_violated() -> None:
    made, exact = both(NETWORKS["flat"], 1e-2, x1=walks(7), dtype="float64")
    assert set(made.error_estimate) == {"additive"}
    assert errors(made, exact) <= made.error_estimate["additive"] <= 1e-2


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
@pytest.mark.parametrize(
    "mechanism", [{"type": "softmax", "rank": 4}, {"type": "performer", "features": 6}]
)
def test_compressed_attention_is_additive_too(mechanism: dict[str, Any], tolerance: float) -> None:
    layers = [dense(), RELU, attention(mechanism, qk_std=0.5), RELU, POOL, dense()]
    made, exact = both(layers, tolerance, x1=walks(7), dtype="float64")
    assert errors(made, exact) <= made.error_estimate["additive"] + 1e-14 <= tolerance
    assert made.error_estimate["mixing"] == exact.error_estimate["mixing"] > 1e-6


def test_pairs_beyond_the_tolerance_are_exact() -> None:
    made, exact = both(NETWORKS["sharp"], 1e-14, x1=walks(7), dtype="float64")
    assert errors(made, exact) < 1e-14


@pytest.mark.parametrize("mechanism", ["softmax", {"type": "performer", "features": 2}])
def test_pairs_of_short_inputs_are_exact_too(mechanism: Any) -> None:
    """They are computed at half the length, with a mixing matrix cut from the whole one."""
    x = walks(6, 24)
    mask = np.arange(24) < np.array([3, 24, 7, 11, 12, 5])[:, None]
    layers: list[Layer] = [
        conv(3, padding="valid"), RELU, attention(mechanism, qk_std=0.5), LAYER_NORM,
        parallel([RELU, dense()], []), POOL, dense(), RELU, dense(),
    ]  # fmt: skip
    made, exact = both(layers, 1e-14, x1=x, mask1=mask, dtype="float64")
    assert made.error_estimate["additive"] <= 1e-14
    assert errors(made, exact) < 1e-13


def test_near_duplicates_are_exact() -> None:
    x = walks(4)
    twins = x + 1e-7 * entries(x.shape, seed=3)
    made, exact = both(NETWORKS["flat"], 1e-2, x1=x, x2=twins, dtype="float64")
    # Additively they would be off by 1e-4. At a correlation of 1 - 1e-14 rounding counts 1e7 times.
    for output in OUTPUTS:
        np.testing.assert_allclose(np.diag(made[output]), np.diag(exact[output]), rtol=1e-9)


def test_overflow_is_found() -> None:
    with pytest.raises(NumericsError, match="not finite"):
        both(NETWORKS["flat"], 1e-2, x1=1e25 * walks(3))


def test_float32_keeps_the_accuracy_contract() -> None:
    made, _ = both(NETWORKS["imdb"], 1e-5, x1=walks(7))
    exact = kernel_matrix({"layers": NETWORKS["imdb"]}, walks(7), dtype="float64")
    assert errors(made, exact) < 1e-5


def test_two_sides_are_a_slice_of_one() -> None:
    x = walks(9)
    method = {"type": "additive", "tolerance": 1e-3}
    network = {"layers": NETWORKS["deep"]}
    whole = kernel_matrix(network, x, method=method, dtype="float64")
    part = kernel_matrix(network, x[:5], x[5:], method=method, dtype="float64")
    for output in OUTPUTS:
        np.testing.assert_allclose(part[output], whole[output][:5, 5:], rtol=1e-12)


def test_linear_readouts_are_exact_as_they_are() -> None:
    layers = [dense(), RELU, attention(), dense(), POOL]
    made, exact = both(layers, 1e-9, x1=walks(5), dtype="float64")
    for output in OUTPUTS:
        np.testing.assert_array_equal(made[output], exact[output])


@pytest.mark.parametrize(
    "layers",
    [
        [dense(), RELU, dense()],
        [dense(), RELU, attention(), RELU, FLATTEN],
        [dense(), RELU, POOL],
        [dense(), attention(residual={"weight": 0.5}), RELU, POOL],
        [dense(), attention(), conv(3), RELU, POOL],
        [dense(), parallel([attention()], []), RELU, POOL],
        [attention("l2"), SPATIAL_NORM, dense(0.03), ERF, POOL, dense()],
        [attention("l2"), parallel([SPATIAL_NORM, ERF, dense()], []), POOL],
    ],
)
def test_other_networks_are_refused(layers: list[Layer]) -> None:
    x = walks(3) if len(layers) > 3 or POOL in layers else entries((3, 4))
    with pytest.raises(KernelError, match="method additive needs") as caught:
        kernel_matrix({"layers": layers}, x, method={"type": "additive"})
    assert caught.value.pointer == "/method"


def test_layers_below_the_attention_may_read_all_positions() -> None:
    """Each input's own mean variance is known before inputs are packed into one."""
    layers = [dense(), SPATIAL_NORM, RELU, attention(qk_std=0.3), RELU, POOL]
    assert packing_gap(parse_architecture({"layers": layers}).expanded) == 0
    x = walks(7)
    made, exact = both(layers, 1e-2, x1=x, mask1=masks("tail", x.shape, 0), dtype="float64")
    assert 0 < errors(made, exact) <= made.error_estimate["additive"] < 1e-3


def test_variances_that_cancel_are_zero() -> None:
    """Tokens that add up to nothing: uniform attention over them leaves rounding, of either sign."""
    tokens = entries((6, 3, 5))
    x = np.concatenate([0 * tokens[:, :1], tokens[:, :2], -tokens[:, :2].sum(1, keepdims=True)], 1)
    layers = [dense(b_std=0.0), attention(qk_std=0.0, b_std=0.0), RELU, POOL]
    made, exact = both(layers, 1e-5, x1=x)
    for output in OUTPUTS:
        assert np.abs(made[output]).max() < 1e-6
        assert np.abs(exact[output]).max() < 1e-6


@pytest.mark.parametrize("tolerance", [0, -1e-5, 2.0, "tight"])
def test_bad_tolerances_are_refused(tolerance: object) -> None:
    with pytest.raises(KernelError) as caught:
        both(NETWORKS["flat"], tolerance, x1=walks(3))
    assert caught.value.pointer == "/tolerance"


def test_a_tile_stops_when_told_to() -> None:
    network = parse_architecture({"layers": NETWORKS["flat"]})
    with pytest.raises(Stopped):
        compute_tile(
            network,
            read_inputs(walks(7)),
            None,
            outputs=OUTPUTS,
            method=Additive(tolerance=1e-2),
            should_stop=lambda: True,
        )
