"""What a Monte Carlo estimate promises beside its limit."""

from typing import Any

import numpy as np
import pytest

from kernels.errors import InputError, Stopped
from kernels.finite.monte_carlo import monte_carlo
from kernels.inputs import Inputs, read_inputs
from kernels.spec.architecture import Architecture, parse_architecture
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


def test_a_tile_is_a_slice_of_the_whole() -> None:
    rows = sequences(4)
    whole = monte_carlo(TRANSFORMER, rows, **SMALL)
    for first, second in (([0, 1], [2, 3]), ([3], [1])):
        tile = monte_carlo(
            TRANSFORMER,
            rows.take(first),
            rows.take(second),
            identities1=first,
            identities2=second,
            **SMALL,
        )
        for name, values in tile.items():
            np.testing.assert_allclose(values, whole[name][np.ix_(first, second)], rtol=1e-9)
    corner = monte_carlo(TRANSFORMER, rows.take([2, 3]), identities1=[2, 3], **SMALL)
    np.testing.assert_allclose(corner["ntk"], whole["ntk"][2:, 2:], rtol=1e-9)


@pytest.mark.slow
def test_cutting_masked_positions_off_changes_nothing() -> None:
    rows = sequences(3)  # at most four real positions of six
    whole = monte_carlo(TRANSFORMER, rows, **SMALL)
    cut = monte_carlo(TRANSFORMER, rows.take(range(3), (4,)), **SMALL)
    for name, values in whole.items():
        np.testing.assert_allclose(cut[name], values, rtol=1e-6, atol=1e-9)


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


def test_dropout_shares_its_draws_within_an_identity_only() -> None:
    layers = network(dense(), RELU, DROPOUT, dense())
    row = read_inputs(entries((1, 3)))
    settings: dict[str, Any] = {"width": 64, "samples": 64, "outputs": ["nngp"]}
    own = monte_carlo(layers, row, **settings)["nngp"]
    same = monte_carlo(layers, row, row, identities1=[7], identities2=[7], **settings)["nngp"]
    other = monte_carlo(layers, row, row, **settings)["nngp"]
    assert same == pytest.approx(own, rel=0.1)
    assert other < 0.85 * own


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
