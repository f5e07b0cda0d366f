"""What every estimate keeps, however it is cut up: one set of heads for all inputs and tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernels.estimate.landmarks as landmarks_module
import kernels.plan.tiles as tiles_module
from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.errors import InputError, SpecError
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.plan.tiles import plan_tiles
from tests.kernels.estimate.networks import estimated
from tests.kernels.networks import (
    FLATTEN,
    POOL,
    RELU,
    Layer,
    attention,
    dense,
    entries,
    masks,
    positional,
)

Array = np.ndarray[Any, Any]
OUTPUTS = ("nngp", "ntk")
NAMES = ("nngp", "nngp_stderr", "ntk", "ntk_stderr")
SHAPE = (9, 4, 3)
LINEAR = [dense(1.1, 0.2), estimated(samples=32), RELU, POOL, dense()]
"""Factors are exact."""
ABOVE = [
    dense(),
    RELU,
    estimated(samples=32, positional=positional("sum", "rational")),
    FLATTEN,
    dense(),
]
"""Factors go through landmarks."""
NETWORKS = {"linear": LINEAR, "above": ABOVE}
NAMED = ["linear", pytest.param("above", marks=pytest.mark.slow)]


def kernels(layers: list[Layer], x: Array, *others: Array, **named: Any) -> dict[str, Array]:
    return kernel_matrix({"layers": layers}, x, *others, dtype="float64", **named)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of two inputs."""
    monkeypatch.setattr(tiles_module, "_SAMPLED_ROWS", 2)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.usefixtures("small_tiles")
def test_many_tiles_are_one_positive_semidefinite_matrix(name: str) -> None:
    x, real = entries(SHAPE), masks("tail", SHAPE)
    plan = plan_tiles(parse_architecture({"layers": NETWORKS[name]}), read_inputs(x))
    assert len(plan.tiles) == 15
    result = kernels(NETWORKS[name], x, mask1=real)
    for output in OUTPUTS:
        matrix = result[output]
        assert (matrix == matrix.T).all()
        eigenvalues = np.linalg.eigvalsh(matrix)
        assert eigenvalues[0] >= -1e-6 * eigenvalues[-1]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.usefixtures("small_tiles")
def test_permuted_inputs_permute_the_matrix(name: str) -> None:
    x, real = entries(SHAPE), masks("holes", SHAPE)
    assert real is not None
    order = np.random.default_rng(1).permutation(len(x))
    one = kernels(NETWORKS[name], x, mask1=real)
    two = kernels(NETWORKS[name], x[order], mask1=real[order])
    for output in NAMES:
        scale = np.abs(one[output]).max()
        np.testing.assert_allclose(
            two[output], one[output][np.ix_(order, order)], rtol=0, atol=1e-9 * scale
        )


def test_a_part_of_the_inputs_has_a_part_of_the_matrix() -> None:
    x = entries(SHAPE)
    whole = kernels(LINEAR, x)
    part = kernels(LINEAR, x[2:4], x[5:])
    diagonal = kernels(LINEAR, x, form="diagonal")
    for output in NAMES:
        np.testing.assert_allclose(part[output], whole[output][2:4, 5:], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(diagonal[output], np.diag(whole[output]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMED)
def test_padding_changes_nothing(name: str) -> None:
    x, longer = entries(SHAPE), np.full((9, 40, 3), np.nan)
    longer[:, :4] = x
    layers = [POOL if layer is FLATTEN else layer for layer in NETWORKS[name]]
    one = kernels(layers, x)
    two = kernels(layers, longer, mask1=np.broadcast_to(np.arange(40) < 4, (9, 40)))
    for output in NAMES:
        scale = np.abs(one[output]).max()
        np.testing.assert_allclose(two[output], one[output], rtol=0, atol=1e-8 * scale)


def test_longer_inputs_share_the_heads_of_shorter_ones() -> None:
    """Positions are numbered alike in inputs of any length, so K(x1, x2) fits K(x1, x1)."""
    layers = [estimated(samples=32, positional=positional("sum", "rational")), POOL]
    x, longer = entries(SHAPE), np.full((9, 7, 3), np.nan)
    longer[:, :4] = x
    same = kernels(layers, x)
    cross = kernels(layers, x, longer, mask2=np.broadcast_to(np.arange(7) < 4, (9, 7)))
    for output in NAMES:
        scale = np.abs(same[output]).max()
        np.testing.assert_allclose(cross[output], same[output], rtol=0, atol=1e-9 * scale)


PLACED = [estimated(samples=16, positional=positional("sum", "rational")), POOL]


def padded(x: Array, *grid: int) -> tuple[Array, Array]:
    """Images on a larger grid, and the mask that says where they are."""
    wide = [(0, 0), *((0, size - old) for size, old in zip(grid, x.shape[1:-1], strict=True))]
    return np.pad(x, [*wide, (0, 0)]), np.pad(np.ones(x.shape[:-1], bool), wide)


@pytest.mark.slow
def test_higher_images_share_the_heads_of_lower_ones() -> None:
    x, higher = entries((3, 2, 3, 2)), entries((2, 4, 3, 2))
    filled, real = padded(x, 4, 3)
    one, two = kernels(PLACED, x, higher), kernels(PLACED, filled, higher, mask1=real)
    for output in NAMES:
        np.testing.assert_allclose(one[output], two[output], rtol=1e-8, atol=1e-9)


def test_positions_that_two_images_number_otherwise_are_refused() -> None:
    x, other = entries((3, 2, 3, 2)), entries((2, 3, 2, 2))
    with pytest.raises(InputError, match=r"pad both sides to \[3, 3\]") as caught:
        kernels(PLACED, x, other)
    assert caught.value.pointer == "/x2"
    (filled, real), (others, reals) = padded(x, 3, 3), padded(other, 3, 3)
    cross = kernels(PLACED, filled, others, mask1=real, mask2=reals)
    joined, every = np.concatenate([filled, others]), np.concatenate([real, reals])
    whole = kernels(PLACED, joined, mask1=every)
    for output in NAMES:
        np.testing.assert_allclose(cross[output], whole[output][:3, 3:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([estimated(samples=16), POOL], id="plain"),
        pytest.param([dense(), RELU, *PLACED], id="landmarks", marks=pytest.mark.slow),
    ],
)
def test_other_images_of_other_grids_are_not(layers: list[Layer]) -> None:
    """Where the logits see no embeddings, or see them through landmarks."""
    x, other = entries((3, 2, 3, 2)), entries((2, 3, 2, 2))
    (filled, real), (others, reals) = padded(x, 3, 3), padded(other, 3, 3)
    one, two = kernels(layers, x, other), kernels(layers, filled, others, mask1=real, mask2=reals)
    for output in NAMES:
        scale = np.abs(one[output]).max()
        np.testing.assert_allclose(two[output], one[output], rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("name", NAMED)
def test_the_seed_is_all_that_is_random(name: str) -> None:
    x = entries(SHAPE).astype(np.float32)
    layers = NETWORKS[name]
    one, again = kernels(layers, x), kernels(layers, x)
    other = [
        {**layer, "estimator": {**layer["estimator"], "seed": 4}} if "estimator" in layer else layer
        for layer in layers
    ]
    two = kernels(other, x)
    single = kernel_matrix({"layers": layers}, x, dtype="float32")
    for output in NAMES:
        assert one[output].tobytes() == again[output].tobytes()
        assert not (one[output] == two[output]).any()
        scale = np.abs(one[output]).max()
        np.testing.assert_allclose(single[output], one[output], rtol=0, atol=2e-5 * scale)


@pytest.mark.slow
def test_standard_errors_are_what_estimates_scatter_by() -> None:
    """Over seeds the deviation from a long run, over the standard error, has variance one."""
    x, wanted = entries((3, 4, 3)), ("nngp", "ntk")

    def of(samples: int, seed: int) -> dict[str, Array]:
        layer = {**estimated(), "estimator": {"samples": samples, "seed": seed}}
        return kernels([dense(), layer, RELU, POOL, dense()], x)

    long = of(2**16, 10**6)
    runs = [of(512, seed) for seed in range(60)]
    for output in wanted:
        z = np.array([(run[output] - long[output]) / run[f"{output}_stderr"] for run in runs])
        upper = z[:, *np.triu_indices(3)]
        assert np.abs(upper).max() < 5
        assert 0.8 < upper.std() < 1.3
        assert np.abs(upper.mean(0)).max() < 4 / np.sqrt(len(runs))
    typical = np.mean([run["ntk_stderr"] for run in runs], axis=0)
    assert (long["ntk_stderr"] < 0.15 * typical).all()


@pytest.mark.slow
def test_antithetic_heads_are_worth_more_than_independent_ones() -> None:
    x = entries((4, 5, 3))
    errors = []
    for antithetic in (True, False):
        layer = {**estimated(qk_std=0.5), "estimator": {"samples": 512, "antithetic": antithetic}}
        errors.append(kernels([layer, POOL], x)["nngp_stderr"])
    assert errors[0].mean() < 0.6 * errors[1].mean()


@pytest.mark.slow
def test_landmarks_that_are_not_all_inputs_keep_every_input_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An input's own kernel needs no other; what two have in common is left out in part, with a
    warning, and the matrix stays positive semidefinite."""
    layers = [dense(), RELU, estimated(samples=2048), RELU, POOL, dense()]
    x, network = entries((10, 4, 3)), parse_architecture({"layers": layers})
    assert check_job(network, read_inputs(x)) == []
    exact = kernels(layers, x)
    monkeypatch.setattr(landmarks_module, "LANDMARK_POSITIONS", 8)
    (warning,) = check_job(network, read_inputs(x))
    assert "2 of the 10 different inputs" in warning
    found = kernels(layers, x)
    for output in OUTPUTS:
        scale = np.sqrt(np.outer(np.diag(exact[output]), np.diag(exact[output])))
        error = np.hypot(found[f"{output}_stderr"], exact[f"{output}_stderr"])
        assert (np.abs(found[output] - exact[output]).diagonal() < 4.5 * error.diagonal()).all()
        assert (np.abs(found[output] - exact[output]) < 4.5 * error + 0.05 * scale).all()
        eigenvalues = np.linalg.eigvalsh(found[output])
        assert eigenvalues[0] >= -1e-6 * eigenvalues[-1]


def above_an_estimate(mechanism: Any) -> Any:
    layers = [dense(), estimated(samples=8), dense(), attention(mechanism), RELU, POOL]
    return kernels(layers, entries((4, 8, 3)))


RANK_3 = {"type": "softmax", "rank": 3}


@pytest.mark.parametrize("mechanism", [RANK_3, {"type": "performer", "features": 4}])
def test_compressed_attention_above_an_estimate_says_how_far_it_is_off(mechanism: Any) -> None:
    assert above_an_estimate(mechanism).error_estimate["mixing"] > 0.1


@pytest.mark.slow
def test_what_is_not_tolerated_above_an_estimate_is_exact_in_every_replicate() -> None:
    exact, made = map(above_an_estimate, ("softmax", {**RANK_3, "tolerance": 1e-9}))
    assert made.error_estimate["mixing"] <= 1e-9
    for output in NAMES:
        np.testing.assert_allclose(made[output], exact[output], rtol=1e-9, atol=1e-12)


def test_the_additive_method_refuses_estimated_networks() -> None:
    layers = [estimated(samples=16), attention(), RELU, POOL]
    with pytest.raises(InputError, match="use method exact"):
        kernels(layers, entries(SHAPE), method={"type": "additive"})


def test_heads_that_do_not_fit_in_memory_are_refused_with_how_many_do() -> None:
    network = parse_architecture({"layers": [estimated(samples=4096), POOL]})
    side = read_inputs(np.ones((1, 300, 2)))
    with pytest.raises(SpecError, match="at most 1491 samples"):
        check_job(network, side)
    method = {"type": "monte_carlo", "width": 8, "samples": 2}
    assert kernel_matrix({"layers": network.layers}, side.x[:, :3], method=method)["nngp"].size == 1
