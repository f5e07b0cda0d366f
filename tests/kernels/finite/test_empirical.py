"""The empirical kernels of one network, and the Jacobians they must agree with."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from kernels.architecture import parse_architecture
from kernels.finite.empirical import empirical_nngp, empirical_ntk, traced_bytes
from kernels.finite.gradients import Outer, gradients
from kernels.finite.identity import identities
from kernels.finite.linear_map import LinearMap
from kernels.finite.network import Row, finite_network
from kernels.inputs import read_inputs
from kernels.spec.width import Width
from tests.kernels.networks import (
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    attention,
    conv,
    dense,
    entries,
    masks,
    positional,
)

NETWORKS = {
    "dense": [dense(), RELU, dense(), POOL],
    "conv": [conv(3), LAYER_NORM, RELU, conv(2), FLATTEN, dense()],
    "random_logits": [dense(), attention(scaling="sqrt", causal=True), POOL],
    "attention": [
        dense(),
        attention(positional=positional("concat", "rational", in_values=True)),
        {"type": "dropout", "rate": 0.8},
        POOL,
    ],
}


def made(name: str) -> tuple[Any, Any, Row, Row]:
    """A function of (weights, row) with 5 outputs or so, its weights, and two sides of 3 and 4."""
    one, two = (
        read_inputs(entries((n, 4, 3), n), masks("holes", (n, 4, 3), n), dtype="float64")
        for n in (3, 4)
    )
    architecture = parse_architecture({"layers": NETWORKS[name]})
    network, numbers = finite_network(architecture, 3, (4,), Width(5, 2), "float64")
    key = jax.random.key(3)

    def outputs(weights: Any, row: Row) -> jax.Array:
        return network.apply(weights, numbers, row, key).reshape(-1)

    rows = zip((one, two), identities(one, two), strict=True)
    return outputs, network.draw(key), *(Row.of(*side) for side in rows)


def whole_jacobian(outputs: Any, weights: Any, rows: Row) -> np.ndarray[Any, Any]:
    """(n, k, number of weights), all at once."""
    flat, build = ravel_pytree(weights)
    every = jax.vmap(lambda v, row: outputs(build(v), row), in_axes=(None, 0))
    return np.asarray(jax.jit(jax.jacfwd(every))(flat, rows))


IN_CHUNKS = ((2, 2), (1, 3), (4, 4))
"""Rows at once and rows held, of 3 and 4: how rows are cut does not depend on the network."""


@pytest.mark.parametrize(
    ("name", "chunks"),
    [
        ("dense", IN_CHUNKS),
        pytest.param("conv", IN_CHUNKS, marks=pytest.mark.slow),
        ("random_logits", IN_CHUNKS[:1]),
        ("attention", IN_CHUNKS[:1]),
    ],
)
def test_the_ntk_is_the_trace_of_the_whole_jacobians(
    name: str, chunks: tuple[tuple[int, int], ...]
) -> None:
    with jax.enable_x64(True):
        outputs, weights, one, two = made(name)
        j1, j2 = (whole_jacobian(outputs, weights, rows) for rows in (one, two))
        expected = np.einsum("ikw,jkw->ij", j1, j2) / j1.shape[1]
        for at_once, held in chunks:
            ntk = partial(empirical_ntk, outputs, at_once=at_once, held=held)
            found = jax.jit(ntk)(weights, one, two)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("units", "factored"), [(64, True), (4, False)])
def test_large_weights_of_few_positions_have_no_jacobian(units: int, factored: bool) -> None:
    layers = parse_architecture({"layers": [dense(), RELU, dense(), FLATTEN]})
    network, numbers = finite_network(layers, 3, (4,), Width(units))
    inputs = read_inputs(entries((1, 4, 3)))
    row = jax.tree.map(lambda leaf: leaf[0], Row.of(inputs, identities(inputs)[0]))

    def output(weights: Any, row: Row) -> jax.Array:
        return network.apply(weights, numbers, row, jax.random.key(1))[:1]

    found = gradients(output, network.draw(jax.random.key(0)), row)
    assert isinstance(found[-1], Outer) == factored


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_side_with_itself(at_once: int) -> None:
    with jax.enable_x64(True):
        outputs, weights, one, _ = made("conv")
        alone = empirical_nngp(outputs, weights, one, None, at_once)
        both = empirical_nngp(outputs, weights, one, one, 3)
        np.testing.assert_allclose(alone, both, rtol=1e-12)
        alone = empirical_ntk(outputs, weights, one, None, at_once, at_once)
        both = empirical_ntk(outputs, weights, one, one, 3, 3)
        np.testing.assert_allclose(alone, both, rtol=1e-10)


def test_the_nngp_is_the_mean_product_of_the_outputs() -> None:
    with jax.enable_x64(True):
        outputs, weights, one, two = made("attention")
        every = jax.vmap(lambda row: outputs(weights, row))
        f1, f2 = (np.asarray(jax.jit(every)(rows)) for rows in (one, two))
        expected = f1 @ f2.T / f1.shape[1]
        nngp = jax.jit(partial(empirical_nngp, outputs, at_once=2))
        np.testing.assert_allclose(nngp(weights, one, two), expected)


def test_the_bytes_of_gradients_are_counted() -> None:
    with jax.enable_x64(True):
        outputs, weights, one, _ = made("conv")
        row = jax.tree.map(lambda leaf: leaf[0], one)
        found = gradients(outputs, weights, row)
        held = sum(leaf.nbytes for leaf in jax.tree.leaves(found))
        counted = traced_bytes(lambda drawn, row: gradients(outputs, drawn, row), weights, row)
        assert held <= counted <= 40 * held


def test_a_map_used_twice_is_an_error() -> None:
    weights = {"w": LinearMap(jnp.ones((3, 3)))}

    def twice(drawn: Any, row: jax.Array) -> jax.Array:
        return drawn["w"]("pc,cu->pu", drawn["w"]("pc,cu->pu", row[None]))[0]

    with pytest.raises(RuntimeError, match="twice"):
        gradients(twice, weights, jnp.ones(3))
