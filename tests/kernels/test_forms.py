"""What of a kernel is asked for: the matrix, its diagonal alone, or every pair of positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.errors import InputError, SpecError
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import MonteCarlo
from kernels.plan.tiles import plan_tiles

BODY: list[dict[str, Any]] = [
    {"type": "dense", "w_std": 1.4, "b_std": 0.1},
    {"type": "relu"},
    {"type": "attention", "b_std": 0.2},
    {"type": "relu"},
]
POOLED = {"layers": [*BODY, {"type": "global_avg_pool"}]}
KEPT = {"layers": BODY}
DPFP_6 = {"type": "linear", "feature_map": {"type": "dpfp", "nu": 6}}


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(9, 7, 3))


@pytest.fixture
def mask() -> np.ndarray:
    real = np.random.default_rng(1).random((9, 7)) < 0.7
    real[:, 0] = True
    return real


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_diagonal_is_that_of_the_matrix_bit_for_bit(
    x: np.ndarray, mask: np.ndarray, dtype: str
) -> None:
    whole = kernel_matrix(POOLED, x, mask1=mask, dtype=dtype)
    alone = kernel_matrix(POOLED, x, mask1=mask, dtype=dtype, form="diagonal")
    for output, diagonal in alone.items():
        assert diagonal.shape == (9,)
        np.testing.assert_array_equal(diagonal, np.diag(whole[output]))


def test_the_diagonal_of_two_sides_pairs_their_rows(x: np.ndarray, mask: np.ndarray) -> None:
    given = {"x1": x[:4], "x2": x[4:8], "mask1": mask[:4], "mask2": mask[4:8]}
    whole = kernel_matrix(POOLED, **given, dtype="float64")
    alone = kernel_matrix(POOLED, **given, dtype="float64", form="diagonal")
    for output, diagonal in alone.items():
        np.testing.assert_allclose(diagonal, np.diag(whole[output]), rtol=1e-13)


def test_the_diagonal_of_two_sides_of_other_lengths(x: np.ndarray) -> None:
    """Rows meet in the buckets that each of them has."""
    long = np.concatenate([x, np.zeros((9, 40, 3))], axis=1)
    real = np.zeros((9, 47), bool)
    real[:, :7] = True
    real[5, 40] = True
    given = {"x1": long, "mask1": real, "x2": x}
    whole = kernel_matrix(POOLED, **given, dtype="float64")
    alone = kernel_matrix(POOLED, **given, dtype="float64", form="diagonal")
    np.testing.assert_allclose(alone["ntk"], np.diag(whole["ntk"]), rtol=1e-12)


def test_the_diagonal_needs_no_tile_off_the_diagonal() -> None:
    side = read_inputs(np.ones((1300, 4)))
    network = parse_architecture({"layers": [{"type": "dense"}, {"type": "relu"}]})
    plan = plan_tiles(network, side, form="diagonal")
    assert [(tile.row, tile.col) for tile in plan.tiles] == [(0, 0), (1, 1), (2, 2)]
    assert plan.shape == (1300,)


def test_positions_pool_to_the_matrix(x: np.ndarray) -> None:
    pooled = kernel_matrix(POOLED, x, dtype="float64")
    kept = kernel_matrix(KEPT, x, dtype="float64", form="positions")
    for output, kernel in kept.items():
        assert kernel.shape == (9, 9, 7, 7)
        np.testing.assert_allclose(kernel.mean((2, 3)), pooled[output], rtol=1e-12)
        np.testing.assert_allclose(kernel, kernel.transpose(1, 0, 3, 2), rtol=1e-14)


def test_positions_of_two_sides_and_their_masks(x: np.ndarray, mask: np.ndarray) -> None:
    kept = kernel_matrix(KEPT, x[:4], x[4:], mask2=mask[4:], form="positions")["nngp"]
    assert kept.shape == (4, 5, 7, 7)
    real = np.broadcast_to(mask[4:][None, :, None, :], kept.shape)
    assert (kept[~real] == 0).all()
    assert (kept[real] > 0).all()


def test_positions_of_strided_images() -> None:
    """Several tiles, of which the mirror images swap both pairs of axes."""
    images = np.random.default_rng(2).normal(size=(300, 5, 4, 2))
    network = {"layers": [{"type": "conv", "window": [3, 2], "strides": [2, 1]}, {"type": "relu"}]}
    kept = kernel_matrix(network, images, form="positions", outputs=("nngp",))["nngp"]
    assert kept.shape == (300, 300, 3, 4, 3, 4)
    np.testing.assert_allclose(kept, kept.transpose(1, 0, 4, 5, 2, 3), rtol=1e-6)
    few = kernel_matrix(network, images[[0, 299]], form="positions", outputs=("nngp",))["nngp"]
    np.testing.assert_allclose(kept[0, 299], few[0, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("network", "form", "pointer"),
    [
        (POOLED, "positions", "/layers/4"),
        (KEPT, "matrix", "/layers/3"),
        (KEPT, "diagonal", "/layers/3"),
    ],
)
def test_forms_that_the_network_does_not_have(
    x: np.ndarray, network: dict[str, Any], form: Any, pointer: str
) -> None:
    with pytest.raises(SpecError) as caught:
        kernel_matrix(network, x, form=form)
    assert caught.value.pointer == pointer


def test_a_diagonal_of_unequal_sides_is_refused(x: np.ndarray) -> None:
    with pytest.raises(InputError, match="9 rows and x2 has 3"):
        kernel_matrix(POOLED, x, x[:3], form="diagonal")


def test_an_unknown_form_is_refused(x: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        kernel_matrix(POOLED, x, form="trace")
    assert caught.value.pointer == "/form"


def test_blocks_that_no_machine_holds_are_refused_before_they_are_made() -> None:
    side = read_inputs(np.ones((1, 20_000, 1)))
    with pytest.raises(InputError, match="every pair of positions"):
        check_job(parse_architecture(POOLED), side)
    flat = [{"type": "dense"}, {"type": "relu"}, {"type": "flatten"}]
    assert check_job(parse_architecture({"layers": flat}), side) == []


def test_finite_networks_without_attention_make_no_blocks() -> None:
    side, method = read_inputs(np.ones((1, 12_000, 1))), MonteCarlo()
    layers = [{"type": "conv", "window": [3]}, {"type": "relu"}, {"type": "global_avg_pool"}]
    pooled = parse_architecture({"layers": layers})
    with pytest.raises(InputError, match="every pair of positions"):
        check_job(pooled, side)
    assert check_job(pooled, side, method=method) == []
    attending = parse_architecture({"layers": [{"type": "attention"}, *layers]})
    with pytest.raises(InputError, match="every pair of positions"):
        check_job(attending, side, method=method)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            [{"type": "attention", "mechanism": DPFP_6}, {"type": "global_avg_pool"}],
            "heads of at least 4 channels, got 3: take a larger width",
        ),
        (
            [
                {
                    "type": "parallel",
                    "branches": [
                        [{"type": "dense"}, {"type": "flatten"}],
                        [{"type": "dense"}, {"type": "global_avg_pool"}],
                    ],
                }
            ],
            r"branches end with \[12, 3\] channels",
        ),
    ],
)
def test_networks_that_no_finite_width_has_are_refused_before_they_are_drawn(
    layers: list[Any], expected: str
) -> None:
    side, network = read_inputs(np.ones((2, 4, 2))), parse_architecture({"layers": layers})
    check_job(network, side)
    with pytest.raises(InputError, match=expected) as caught:
        check_job(network, side, method=MonteCarlo(width=3))
    assert caught.value.pointer == "/method"
