"""What every network's kernels obey, whatever its layers: random networks, no reference needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from kernels.architecture import parse_architecture
from kernels.matrix import kernel_matrix
from tests.kernels.networks import Array, Layer, entries, masks
from tests.kernels.random_networks import problems
from tests.kernels.test_random_networks import FEW, Problem

HEAD: Layer = {"type": "dense", "w_std": 1.3, "b_std": 0.4}


def matrices(layers: list[Layer], x1: Array, x2: Array | None = None, **more: Any) -> Any:
    return kernel_matrix({"layers": layers}, x1, x2, dtype="float64", **more)


def assert_same(found: Any, expected: Any) -> None:
    """Equal to rounding, relative to the largest entry."""
    for output, kernel in expected.items():
        scale = max(np.abs(kernel).max(), 1e-300)
        # Where two rows coincide, an angle near zero amplifies rounding (golden/README.md).
        assert np.abs(found[output] - kernel).max() / scale < 1e-7, output


def check(problem: Problem) -> None:
    layers, shape, _, kind = problem
    shape = (4, *shape[1:])
    x, mask = entries(shape, 0), masks(kind, shape, 0)
    whole = matrices(layers, x, mask1=mask)
    given_mask = {"mask1": mask}

    # Another order of the inputs is the same order of the matrix.
    order = np.array([2, 0, 3, 1])
    permuted = None if mask is None else mask[order]
    shuffled = matrices(layers, x[order], mask1=permuted)
    assert_same(shuffled, {o: k[np.ix_(order, order)] for o, k in whole.items()})

    # Two sides are a slice of X against X, and the other way round its transpose.
    halves = {"mask1": None, "mask2": None}
    if mask is not None:
        halves = {"mask1": mask[:1], "mask2": mask[1:]}
    cross = matrices(layers, x[:1], x[1:], **halves)
    assert_same(cross, {o: k[:1, 1:] for o, k in whole.items()})
    back = {"mask1": halves["mask2"], "mask2": halves["mask1"]}
    assert_same(matrices(layers, x[1:], x[:1], **back), {o: k.T for o, k in cross.items()})

    # The very same inputs on both sides are a whole rectangle; but an input there is another one, and
    # an angle of zero, or what dropout keeps, is known on the diagonal of X against X alone.
    both = matrices(layers, x, x, mask1=mask, mask2=mask)
    apart = ~np.eye(4, dtype=bool)
    assert_same({o: k * apart for o, k in both.items()}, {o: k * apart for o, k in whole.items()})

    # The diagonal alone is that of the matrix, bit for bit.
    for output, diagonal in matrices(layers, x, **given_mask, form="diagonal").items():
        np.testing.assert_array_equal(diagonal, np.diag(whole[output]))

    # A covariance, and a Gram matrix of gradients.
    for kernel in whole.values():
        smallest = np.linalg.eigvalsh(kernel)[0]
        assert smallest > -1e-7 * max(np.abs(kernel).max(), 1e-300)

    # The last dense layer: Theta' = K' + w_std^2 Theta.
    headed = matrices([*layers, HEAD], x, **given_mask)
    tangent = headed["nngp"] + HEAD["w_std"] ** 2 * whole["ntk"]
    assert_same({"ntk": headed["ntk"]}, {"ntk": tangent})

    # One network, one digest, however it is spelled.
    network = parse_architecture({"layers": layers})
    spelled = parse_architecture(network.canonical())
    once = parse_architecture({"layers": [{"type": "repeat", "times": 1, "layers": layers}]})
    assert network.digest == spelled.digest == once.digest

    # Padding changes nothing where the caller's length is no part of a layer.
    margin = network.margin()
    if len(shape) == 3 and margin is not None:

        def padded(by: int) -> dict[str, Array]:
            longer = np.concatenate([x, np.full((4, by, shape[2]), np.nan)], axis=1)
            real = np.zeros((4, shape[1] + by), bool)
            real[:, : shape[1]] = True if mask is None else mask
            return matrices(layers, longer, mask1=real)

        assert_same(padded(margin + 3), padded(margin) if margin else whole)


@settings(FEW, max_examples=8)
@given(problem=problems())
def test_random_networks_obey(problem: Problem) -> None:
    check(problem)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(FEW, max_examples=60, derandomize=False)
@given(problem=problems())
def test_many_random_networks_obey(problem: Problem) -> None:
    check(problem)


@pytest.mark.parametrize("form", ["vectors", "sequences"])
def test_relu_networks_scale(form: str) -> None:
    """Without biases: K(c x, c' x') = c c' K(x, x'), and w_std of every layer multiplies too."""
    x = entries((5, 4) if form == "vectors" else (5, 6, 4), 0)
    end = [] if form == "vectors" else [{"type": "global_avg_pool"}]

    def network(w_std: float) -> list[Layer]:
        dense = {"type": "dense", "w_std": w_std}
        return [dense, {"type": "relu"}, dense, {"type": "relu"}, *end]

    factors = np.array([0.5, 1.0, 2.0, 10.0, 1e-3])
    scaled = x * factors.reshape(5, *[1] * (x.ndim - 1))
    plain = matrices(network(1.0), x)
    assert_same(
        matrices(network(1.0), scaled),
        {o: np.outer(factors, factors) * k for o, k in plain.items()},
    )
    assert_same(matrices(network(3.0), x), {o: 3.0**4 * k for o, k in plain.items()})
