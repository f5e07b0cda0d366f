"""What a Monte Carlo estimate promises beside its limit."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from kernels.architecture import Architecture, parse_architecture
from kernels.errors import InputError, SpecError, Stopped
from kernels.finite.identity import identities
from kernels.finite.monte_carlo import monte_carlo
from kernels.inputs import Inputs, read_inputs
from kernels.mechanisms.features import dpfp
from tests.kernels.networks import (
    FLATTEN,
    POOL,
    RELU,
    attention,
    avg_pool,
    conv,
    dense,
    entries,
    positional,
)

DROPOUT = {"type": "dropout", "rate": 0.7}
SMALL: dict[str, Any] = {"width": 16, "heads": 2, "samples": 8, "seed": 5}


def network(*layers: dict[str, Any]) -> Architecture:
    return parse_architecture({"layers": list(layers)})


TRANSFORMER = network(
    conv(2),
    attention(positional=positional("sum", "exponential", in_values=True)),
    DROPOUT,
    POOL,
)


def sequences(n: int, length: int = 6, dtype: str = "float64", masked: bool = True) -> Inputs:
    mask = np.arange(length) < np.arange(2, 2 + n)[:, None] if masked else None
    return read_inputs(entries((n, length, 3)), mask, dtype=dtype)


@pytest.mark.slow
def test_any_tiling_gives_the_same_estimates() -> None:
    """Weights are the network's, and a dropout mask is its input's, wherever the input stands."""
    rows = sequences(5)
    whole = monte_carlo(TRANSFORMER, rows, **SMALL)
    for first, second in (([0, 1], [2, 3]), ([3, 1], [4, 0]), ([0, 1], None), ([3, 2], None)):
        others = None if second is None else rows.take(second)
        tile = monte_carlo(TRANSFORMER, rows.take(first), others, **SMALL)
        for name, values in tile.items():
            part = whole[name][np.ix_(first, first if second is None else second)]
            np.testing.assert_allclose(values, part, rtol=1e-9)


@pytest.mark.slow
def test_cutting_masked_positions_off_changes_nothing() -> None:
    rows = sequences(3)  # at most four real positions of six
    whole = monte_carlo(TRANSFORMER, rows, **SMALL)
    cut = monte_carlo(TRANSFORMER, rows.take(range(3), (4,)), **SMALL)
    for name, values in whole.items():
        np.testing.assert_allclose(cut[name], values, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_the_mean_is_positive_semidefinite_and_symmetric() -> None:
    estimate = monte_carlo(TRANSFORMER, sequences(5), width=8, heads=1, samples=3)
    for name in ("nngp", "ntk"):
        np.testing.assert_array_equal(estimate[name], estimate[name].T)
        eigenvalues = np.linalg.eigvalsh(estimate[name])
        assert eigenvalues[0] >= -1e-9 * eigenvalues[-1]


@pytest.mark.slow
def test_memory_changes_nothing_but_the_way() -> None:
    rows, others = sequences(3), sequences(2, masked=False)
    ample = monte_carlo(TRANSFORMER, rows, others, **SMALL)
    for memory in (2**18, 2**10):  # one row at a time, products
        tight = monte_carlo(TRANSFORMER, rows, others, memory=memory, **SMALL)
        for name, values in ample.items():
            np.testing.assert_allclose(tight[name], values, rtol=1e-8, atol=1e-10)


def test_more_samples_continue_fewer() -> None:
    rows, layers = sequences(2), network(dense(), RELU, FLATTEN)
    few, many = (
        monte_carlo(layers, rows, width=8, samples=samples, outputs=["nngp"])
        for samples in (2, 100)
    )
    rest = [monte_carlo(layers, rows, width=8, samples=n, outputs=["nngp"]) for n in (99, 100)]
    last = 100 * rest[1]["nngp"] - 99 * rest[0]["nngp"]
    assert not np.allclose(last, few["nngp"])
    assert (np.abs(many["nngp"] - few["nngp"]) < 5 * few["nngp_stderr"] + 1).all()
    np.testing.assert_array_equal(many["nngp"], rest[1]["nngp"])


@pytest.mark.slow
def test_seeds_differ_and_repeat() -> None:
    rows = sequences(2)
    one, again, other = (
        monte_carlo(TRANSFORMER, rows, width=8, samples=2, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one["ntk"], again["ntk"])
    assert not np.allclose(one["ntk"], other["ntk"])


@pytest.mark.parametrize("mechanism", ["linear", "delta"])
def test_a_ring_of_features_that_meets_itself_is_refused(mechanism: str) -> None:
    feature_map = {"type": "dpfp", "nu": 8}
    layers = network(attention({"type": mechanism, "feature_map": feature_map}), POOL)
    with pytest.raises(SpecError, match="heads of at least 5 channels, got 4"):
        monte_carlo(layers, sequences(2), width=16, keys=4, samples=2)
    with pytest.raises(SpecError, match=r"nu from 1 to 7 .* 4 channels, got 8"):
        dpfp(jnp.ones((2, 4)), nu=8)


@pytest.mark.slow
def test_equal_inputs_are_dropped_independently() -> None:
    """As in the limit, in one matrix or against each other: only an input with itself is scaled."""
    layers = network(dense(), RELU, DROPOUT, dense())
    row = read_inputs(entries((1, 3)))
    settings: dict[str, Any] = {"width": 64, "samples": 64, "outputs": ["nngp"]}
    own = monte_carlo(layers, row, **settings)["nngp"][0, 0]
    against = monte_carlo(layers, row, row, **settings)["nngp"][0, 0]
    twice = monte_carlo(layers, row.take([0, 0]), **settings)["nngp"]
    assert against < 0.85 * own
    assert twice[0, 0] == pytest.approx(own)
    assert twice[0, 1] == pytest.approx(against)
    assert twice[1, 1] == pytest.approx(own, rel=0.1)


def test_an_inputs_identity_is_its_content() -> None:
    rows = sequences(3, length=4)
    (one, _), (two, same) = identities(rows), identities(rows.take([2, 0]), None)
    np.testing.assert_array_equal(two, one[[2, 0]])
    assert same is two
    padded = np.full((3, 7, 3), np.nan)
    padded[:, :4] = rows.x
    mask = np.zeros((3, 7), bool)
    mask[:, :4] = rows.mask
    longer = read_inputs(padded, mask, dtype="float64")
    np.testing.assert_array_equal(identities(longer)[0], one)
    moved = read_inputs(np.roll(rows.x, 1, 1), np.roll(mask[:, :4], 1, 1), dtype="float64")
    first, second = identities(rows, moved)
    both = np.concatenate([first, second, identities(rows, rows)[1]])
    assert len(np.unique(both, axis=0)) == 9


@pytest.mark.slow
def test_padding_an_image_leaves_its_dropout_as_it_is() -> None:
    layers = network(conv(2, 2), DROPOUT, POOL)
    small = read_inputs(entries((2, 3, 2, 1)), dtype="float64")
    padded = np.zeros((2, 3, 4, 1))
    padded[:, :, :2] = small.x
    mask = np.zeros((2, 3, 4), bool)
    mask[:, :, :2] = True
    large = monte_carlo(layers, read_inputs(padded, mask, dtype="float64"), **SMALL)
    for name, values in monte_carlo(layers, small, **SMALL).items():
        np.testing.assert_allclose(values, large[name], rtol=1e-8)


@pytest.mark.slow
def test_pools_of_images_of_two_sizes() -> None:
    layers = network(conv(2, 2), RELU, attention(positional=positional("sum", "rational")), POOL)
    small, large = (read_inputs(entries((2, n, 3, 2)), dtype="float64") for n in (2, 4))
    padded = np.zeros((2, 4, 3, 2))
    padded[:, :2] = small.x
    mask = np.zeros((2, 4, 3), bool)
    mask[:, :2] = True
    expected = monte_carlo(layers, read_inputs(padded, mask, dtype="float64"), large, **SMALL)
    found = monte_carlo(layers, small, large, **SMALL)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_it_stops_when_told() -> None:
    asked = iter([False, True])
    with pytest.raises(Stopped):
        monte_carlo(
            network(avg_pool(2), dense(), POOL),
            sequences(2, masked=False),
            width=4,
            samples=10_000,
            should_stop=lambda: next(asked),
        )


@pytest.mark.parametrize(
    ("name", "value"), [("width", 0), ("heads", 0), ("samples", 1), ("seed", -1), ("seed", 2**32)]
)
def test_numbers_out_of_range_are_refused_by_name(name: str, value: int) -> None:
    settings = {"width": 4, "heads": 1, "samples": 2, "seed": 0, name: value}
    with pytest.raises(InputError) as caught:
        monte_carlo(network(dense(), POOL), sequences(1), **settings)
    assert caught.value.pointer == f"/{name}"
    assert str(value) in caught.value.detail
