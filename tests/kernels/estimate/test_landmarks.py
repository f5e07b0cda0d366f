"""Landmarks: which they are, and that nothing of any input's own covariance is lost by them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import kernels.estimate.landmarks as landmarks_module
from kernels.architecture import Architecture, parse_architecture
from kernels.engine.landmarks import Landmarked, landmark_factor, masks_at
from kernels.engine.pairs import position_kernels
from kernels.engine.workspace import Workspace
from kernels.estimate.places import group_count, places
from kernels.estimate.shared import Shared
from kernels.inputs import Inputs, read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import EXACT, MonteCarlo
from kernels.plan.landmarks import choose_landmarks
from tests.kernels.estimate.networks import estimated
from tests.kernels.networks import (
    POOL,
    RELU,
    Layer,
    conv,
    dense,
    entries,
    masks,
    parallel,
    positional,
)

Array = np.ndarray[Any, Any]
SHAPE = (7, 4, 3)
DROPOUT: Layer = {"type": "dropout", "rate": 0.5}
BELOW = {
    "relu": [dense(1.2, 0.3), RELU],
    "strided": [conv(2, padding="valid", strides=[2]), RELU],
    "estimated": [dense(), estimated(samples=16), RELU],
}


def network_above(below: list[Layer], **parameters: Any) -> Architecture:
    return parse_architecture({"layers": [*below, estimated(samples=16, **parameters), POOL]})


def factors(network: Architecture, rows: Inputs) -> Landmarked:
    """Those of the last estimated layer, for all inputs."""
    landmarks = choose_landmarks(network, rows, None, EXACT)
    shared, workspace = Shared.of(network.expanded, landmarks), Workspace()
    below = position_kernels(workspace)
    with jax.enable_x64(True):
        return landmark_factor(places(network.expanded)[-1], rows, shared, below, workspace)


def seen_by_queries(network: Architecture, rows: Inputs) -> Array:
    """K~ by position, (n, n, P, P), from the layers below computed as a network of their own."""
    place = places(network.expanded)[-1]
    below = Architecture(layers=place.below)
    k = kernel_matrix(below, rows.x, mask1=rows.mask, form="positions", dtype="float64")["nngp"]
    positional = place.layer.positional
    if positional is None:
        return k
    numbers = positional.split()[1]
    real = masks_at(place, rows)
    real = np.ones(k.shape[1:3], bool) if real is None else real
    r = positional.covariance(np, place.grid(rows.grid), place.grid(rows.grid), numbers)
    both = real[:, None, :, None] & real[None, :, None, :]
    mixed: Any = positional.mixed
    return mixed(k, np.where(both, r, 0), numbers)


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("name", ["relu", "strided"])
def test_where_all_inputs_are_landmarks_the_factor_is_exact(name: str, mask: str) -> None:
    network = network_above(BELOW[name], positional=positional("sum", "rational"))
    rows = read_inputs(entries(SHAPE), masks(mask, SHAPE), dtype="float64")
    factor, _, beyond = factors(network, rows)
    k = seen_by_queries(network, rows)
    made = np.einsum("apr,bqr->abpq", factor, factor)
    np.testing.assert_allclose(made, k, rtol=0, atol=1e-9 * np.abs(k).max())
    assert beyond < 1e-9


@pytest.mark.parametrize(
    "below", [[dense(), RELU, DROPOUT], [dense(), parallel([DROPOUT, dense()], [])]]
)
def test_what_dropout_adds_to_a_variance_is_not_beyond_the_landmarks(below: list[Layer]) -> None:
    """No two inputs have it in common, and all else is exact."""
    network, rows = network_above(below), read_inputs(entries(SHAPE), dtype="float64")
    factor, own, beyond = factors(network, rows)
    assert beyond < 1e-9
    k = seen_by_queries(network, rows)
    made = np.einsum("apr,bqr->abpq", factor, factor)
    each = np.arange(len(rows))
    made[each, each] += np.einsum("apr,aqr->apq", own, own)
    np.testing.assert_allclose(made, k, rtol=0, atol=1e-9 * np.abs(k).max())


def test_an_input_keeps_what_the_landmarks_do_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks_module, "LANDMARK_POSITIONS", 8)
    network = network_above(BELOW["relu"])
    rows = read_inputs(entries(SHAPE), dtype="float64")
    factor, own, share = factors(network, rows)
    assert factor.shape == (7, 4, 8)
    k = seen_by_queries(network, rows)
    made = np.einsum("apr,bqr->abpq", factor, factor)
    each = np.arange(len(rows))
    diagonal = made[each, each] + np.einsum("apr,aqr->apq", own, own)
    np.testing.assert_allclose(diagonal, k[each, each], rtol=0, atol=1e-9 * np.abs(k).max())
    # No covariance is further off than the share says, by Cauchy and Schwarz.
    variances = np.einsum("aapp->ap", k)
    scale = np.sqrt(variances[:, None, :, None] * variances[None, :, None, :])
    off = np.abs(made - k) / scale
    assert 0.01 < off.max() <= share * (1 + 1e-9) < 1


def test_above_an_estimate_every_replicate_has_a_factor() -> None:
    network = network_above(BELOW["estimated"])
    rows = read_inputs(entries(SHAPE), dtype="float64")
    replicates = 1 + group_count(network.expanded)
    factor, own, _ = factors(network, rows)
    assert factor.shape == (7, replicates, 4, 28)
    assert own.shape == (7, replicates, 4, 4)
    made = np.einsum("apr,bqr->abpq", factor[:, 0], factor[:, 0])
    k = seen_by_queries(network, rows)
    off = np.abs(made - k).max() / np.abs(k).max()
    # The same heads; the network below alone divides them into other groups, which rounds otherwise.
    assert off < 1e-9


def test_landmarks_are_the_different_inputs_in_an_order_of_their_own() -> None:
    network, x = network_above(BELOW["relu"]), entries(SHAPE)
    rows = read_inputs(x)
    chosen = choose_landmarks(network, rows, None, EXACT)
    assert chosen is not None
    assert sorted(map(bytes, chosen.x)) == sorted(map(bytes, rows.x))
    order = np.random.default_rng(0).permutation(len(x))
    twice = read_inputs(np.concatenate([x[order], x]))
    for again in (
        choose_landmarks(network, twice, None, EXACT),
        choose_landmarks(network, read_inputs(x[:5]), read_inputs(x[3:]), EXACT),
    ):
        assert again is not None
        assert again.digest() == chosen.digest()


def test_landmarks_of_both_sides_stand_on_the_longer_grid() -> None:
    network = network_above(BELOW["relu"])
    short, long = read_inputs(entries((2, 3, 3))), read_inputs(entries((2, 5, 3)), name="x2")
    chosen = choose_landmarks(network, short, long, EXACT)
    assert chosen is not None
    assert chosen.mask is not None
    assert chosen.x.shape == (4, 5, 3)
    assert sorted(chosen.mask.sum(1)) == [3, 3, 5, 5]


def test_networks_without_a_nonlinearity_below_have_none() -> None:
    rows = read_inputs(entries(SHAPE))
    for below in ([], [dense(), dense()]):
        assert choose_landmarks(network_above(below), rows, None, EXACT) is None
    assert choose_landmarks(network_above(BELOW["relu"]), rows, None, MonteCarlo()) is None
