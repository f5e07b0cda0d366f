"""float32 where it is strained: deep stacks, near duplicates, zero inputs, a single real position.

Deep stacks compile for half a minute each, so they are slow tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.errors import NumericsError
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import MonteCarlo
from tests.kernels.networks import Layer

RELU: list[Layer] = [{"type": "dense", "w_std": 2**0.5}, {"type": "relu"}]
GELU: list[Layer] = [
    {"type": "dense", "b_std": 0.1},
    {"type": "layer_norm"},
    {"type": "gelu"},
]
ENCODER: list[Layer] = [
    {"type": "parallel", "branches": [[{"type": "attention"}], []]},
    {"type": "layer_norm"},
    {
        "type": "parallel",
        "branches": [[{"type": "dense"}, {"type": "relu"}, {"type": "dense"}], []],
    },
    {"type": "layer_norm"},
]


def errors(layers: list[Layer], x: np.ndarray, **more: Any) -> dict[str, float]:
    """The largest float32 error of each kernel, relative to its own diagonals."""
    network = {"layers": layers}
    single = kernel_matrix(network, x, **more)
    double = kernel_matrix(network, x, dtype="float64", **more)
    found: dict[str, float] = {}
    for output, exact in double.items():
        assert np.isfinite(single[output]).all()
        own = np.sqrt(np.diag(exact))
        own[own == 0] = 1
        found[output] = float((np.abs(single[output] - exact) / np.outer(own, own)).max())
    return found


@pytest.fixture
def x() -> np.ndarray:
    """Vectors, of which some are nearly one, two are the same, and one is zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 8))
    near = [x[0] * (1 + 1e-6), x[1] + 1e-4 * rng.normal(size=8), x[2], 0 * x[0]]
    return np.vstack([x, *near])


@pytest.mark.slow
def test_sixty_four_relu_layers_on_near_duplicates(x: np.ndarray) -> None:
    found = errors([*RELU * 64, {"type": "dense"}], x)
    assert found["nngp"] < 1e-5
    assert found["ntk"] < 0.1  # docs/accuracy.md: near duplicates lose digits with depth


@pytest.mark.slow
def test_sixty_four_relu_layers_on_inputs_that_differ() -> None:
    x = np.random.default_rng(1).normal(size=(6, 8))
    found = errors([*RELU * 64, {"type": "dense"}], x)
    assert found["nngp"] < 1e-5
    assert found["ntk"] < 1e-4


@pytest.mark.slow
def test_sixty_four_layers_with_smooth_activations_lose_nothing(x: np.ndarray) -> None:
    found = errors([*GELU * 21, {"type": "dense"}], x)
    assert max(found.values()) < 1e-5


def test_three_relu_layers_keep_the_contract() -> None:
    x = np.random.default_rng(2).normal(size=(20, 8))
    assert max(errors([*RELU * 3, {"type": "dense"}], x).values()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("real", [1, 9])
def test_a_deep_transformer(real: int) -> None:
    s = np.random.default_rng(3).normal(size=(5, 9, 4))
    mask = np.zeros((5, 9), bool)
    mask[:, 4 : 4 + real] = True
    if real == 9:
        mask[:] = True
    repeated = {"type": "repeat", "times": 8, "layers": ENCODER}
    layers = [{"type": "dense", "b_std": 0.1}, repeated, {"type": "global_avg_pool"}]
    found = errors(layers, s, mask1=mask)
    assert found["nngp"] < 1e-5
    assert found["ntk"] < 1e-4


def test_deep_networks_with_kinks_carry_a_warning() -> None:
    side = read_inputs(np.ones((2, 3)))
    deep = parse_architecture({"layers": RELU * 4})
    (warning,) = check_job(deep, side)
    assert "float64" in warning
    assert check_job(deep, read_inputs(np.ones((2, 3)), dtype="float64")) == []
    assert check_job(deep, side, method=MonteCarlo()) == []
    assert check_job(parse_architecture({"layers": RELU * 3}), side) == []
    assert check_job(parse_architecture({"layers": GELU * 9}), side) == []


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3, 1e6, 1e10, 1e15])
def test_a_gaussian_bump_is_right_where_its_determinant_overflows(size: float) -> None:
    """From inputs of 1e10 on, the product of two variances is no float32."""
    x = size * np.random.default_rng(4).normal(size=(6, 8)).astype(np.float32)
    found = errors([{"type": "dense"}, {"type": "gaussian", "b": -0.7}], x)
    assert max(found.values()) < 1e-5


@pytest.mark.parametrize("kind", ["rbf", "cos", "sin"])
def test_waves_stay_bounded_where_distances_are_all_rounding(kind: str) -> None:
    """Variances of 1e16: those of u - v for nearly equal, of u + v for opposite inputs are noise."""
    x = 1e8 * np.random.default_rng(5).normal(size=(40, 8))
    x = np.vstack([x, x * (1 + 1e-9), -x])
    kernel = kernel_matrix({"layers": [{"type": "dense"}, {"type": kind}]}, x, outputs=("nngp",))
    assert np.abs(kernel["nngp"]).max() <= 1


@pytest.mark.parametrize(("b", "size"), [(-1.0, 8e18), (0.4, 3.0)])
def test_a_gaussian_that_leaves_its_range_is_named(x: np.ndarray, b: float, size: float) -> None:
    """1 + 4 p of one input alone overflows; or the mean of exp(b u^2) does not exist."""
    with pytest.raises(NumericsError, match=r"layer 1 .*\(gaussian\)"):
        kernel_matrix({"layers": [{"type": "dense"}, {"type": "gaussian", "b": b}]}, size * x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("one", "other"),
    [([0.55, 0.0], [0.1, 0.3]), ([0.1, 0.3], [0.55, 0.0]), ([0.7, 0.0], [0.71, 0.0])],
)
def test_units_without_a_finite_variance_have_no_kernel_with_others(
    one: list[float], other: list[float], dtype: str
) -> None:
    """4 b p > 1 for one of the two or both, though the mean of the product exists."""
    layers = {"layers": [{"type": "dense"}, {"type": "gaussian", "b": 2.0}, {"type": "dense"}]}
    with pytest.raises(NumericsError, match=r"layer 1 .*\(gaussian\).* 1 / \(4 b\)"):
        kernel_matrix(layers, [one], [other], dtype=dtype)


def test_a_gaussian_that_grows_is_its_integral_up_to_the_edge() -> None:
    x = np.array([[0.65, 0.2], [-0.3, 0.6], [0.1, 0.69]])  # 4 b p of 0.92, 0.90, 0.97
    layers = {"layers": [{"type": "dense"}, {"type": "gaussian", "b": 1.0}]}
    found = kernel_matrix(layers, x, dtype="float64", outputs=("nngp",))["nngp"]
    grid, step = np.linspace(-16, 16, 1601, retstep=True)
    u, v = grid[:, None], grid[None, :]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        cov = x[[i, j]] @ x[[i, j]].T / 2
        inverse = np.linalg.inv(cov)
        form = inverse[0, 0] * u * u + 2 * inverse[0, 1] * u * v + inverse[1, 1] * v * v
        density = np.exp(u * u + v * v - form / 2) / (2 * np.pi * np.sqrt(np.linalg.det(cov)))
        np.testing.assert_allclose(found[i, j], density.sum() * step**2, rtol=1e-9)


def test_what_a_caller_should_know_comes_with_the_matrices() -> None:
    layers = {"layers": RELU * 4}
    (warning,) = kernel_matrix(layers, np.eye(2)).warnings
    assert "float64 keeps them" in warning
    assert kernel_matrix(layers, np.eye(2), dtype="float64").warnings == ()
