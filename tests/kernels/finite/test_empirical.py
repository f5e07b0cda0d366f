"""The empirical kernels of one network: two ways to the ntk, and what they must agree with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from kernels.finite.empirical import (
    empirical_nngp,
    jacobian_bytes,
    ntk_by_jacobians,
    ntk_by_products,
)
from kernels.finite.identity import identities
from kernels.finite.network import Row, finite_network
from kernels.finite.width import Width
from kernels.inputs import read_inputs
from kernels.spec.architecture import parse_architecture
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
    return np.asarray(jax.jacfwd(every)(flat, rows))


@pytest.mark.parametrize(
    "name", ["dense", pytest.param("conv", marks=pytest.mark.slow), "attention"]
)
def test_both_ways_give_the_trace_of_the_whole_jacobians(name: str) -> None:
    with jax.enable_x64(True):
        outputs, weights, one, two = made(name)
        j1, j2 = (whole_jacobian(outputs, weights, rows) for rows in (one, two))
        expected = np.einsum("ikw,jkw->ij", j1, j2) / j1.shape[1]
        for at_once in (2, 4):
            found = ntk_by_jacobians(outputs, weights, one, two, at_once)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        found = ntk_by_products(outputs, weights, one, two)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_side_with_itself(at_once: int) -> None:
    with jax.enable_x64(True):
        outputs, weights, one, _ = made("conv")
        for kernel in (ntk_by_jacobians, empirical_nngp):
            alone = kernel(outputs, weights, one, None, at_once)
            np.testing.assert_allclose(alone, kernel(outputs, weights, one, one, 3), rtol=1e-12)
        np.testing.assert_allclose(
            ntk_by_products(outputs, weights, one, None),
            ntk_by_jacobians(outputs, weights, one, None, at_once),
            rtol=1e-10,
        )


def test_the_nngp_is_the_mean_product_of_the_outputs() -> None:
    with jax.enable_x64(True):
        outputs, weights, one, two = made("attention")
        every = jax.vmap(lambda row: outputs(weights, row))
        f1, f2 = np.asarray(every(one)), np.asarray(every(two))
        expected = f1 @ f2.T / f1.shape[1]
        np.testing.assert_allclose(empirical_nngp(outputs, weights, one, two, 2), expected)


def test_the_bytes_of_a_jacobian_are_counted() -> None:
    with jax.enable_x64(True):
        outputs, weights, one, _ = made("conv")
        row = jax.tree.map(lambda leaf: leaf[0], one)
        k = len(outputs(weights, row))
        jacobian = k * sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
        counted = jacobian_bytes(outputs, weights, row)
        assert jacobian <= counted <= 20 * jacobian
        assert jnp.isfinite(counted)
