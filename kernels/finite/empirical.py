"""NNGP and NTK of one network's outputs f(x) in R^k, by automatic differentiation.

    nngp[x, x'] = f(x) . f(x') / k
    ntk[x, x'] = tr(J(x) J(x')^T) / k,  J(x) = df(x) / dweights, (k, number of weights)

Two ways to the ntk, which a test holds against each other. `ntk_by_jacobians` makes the Jacobians
of `at_once` inputs of each side and contracts them, weight array by weight array. It is the
faster one, and stays within a budget of memory by taking fewer inputs at once; but each Jacobian
is as large as k copies of the weights. `ntk_by_products` never makes one: J(x')^T e is a
vector-Jacobian product, and J(x) times it a Jacobian-vector product; n1 n2 k of each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import jaxprs_in_params

Function = Callable[[Any, Any], Array]
"""(weights, row) -> (k,), for a row whose leaves have no leading axis."""
T = TypeVar("T")


def outputs_of(function: Function, weights: Any, rows: Any, at_once: int) -> Array:
    """f of every row, (n, k), `at_once` rows at a time."""
    return lax.map(lambda row: function(weights, row), rows, batch_size=at_once)


def empirical_nngp(
    function: Function, weights: Any, rows1: Any, rows2: Any | None, at_once: int
) -> Array:
    """f(x) . f(x') / k, (n1, n2).

    Args:
        function: the network.
        weights: its weights.
        rows1: a tree of arrays with a leading axis of n1.
        rows2: the same of n2; None for rows1.
        at_once: rows whose intermediate results are held at the same time.
    """
    one = outputs_of(function, weights, rows1, at_once)
    two = one if rows2 is None else outputs_of(function, weights, rows2, at_once)
    return jnp.matmul(one, two.T) / one.shape[1]


def ntk_by_jacobians(
    function: Function, weights: Any, rows1: Any, rows2: Any | None, at_once: int
) -> Array:
    """tr(J(x) J(x')^T) / k, (n1, n2), from Jacobians of `at_once` rows of each side.

    Arguments are those of `empirical_nngp`.
    """

    def jacobians(rows: Any) -> Any:
        return jax.vmap(lambda row: _jacobian(function, weights, row))(rows)

    def contracted(one: Any, two: Any) -> Array:
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
        kernels = [
            jnp.matmul(a.reshape(len(a), -1), b.reshape(len(b), -1).T) / a.shape[1]
            for a, b in pairs
        ]
        return reduce(add, kernels)

    n1 = _length(rows1)
    if rows2 is None and n1 <= at_once:
        one = jacobians(rows1)
        return contracted(one, one)
    columns = rows1 if rows2 is None else rows2
    n2 = _length(columns)
    chunks1, chunks2 = _chunks(rows1, min(at_once, n1)), _chunks(columns, min(at_once, n2))

    def strip(rows: Any) -> Array:
        one = jacobians(rows)
        blocks = lax.map(lambda others: contracted(one, jacobians(others)), chunks2)
        return blocks.transpose(1, 0, 2).reshape(blocks.shape[1], -1)

    strips = lax.map(strip, chunks1)
    return strips.reshape(-1, strips.shape[2])[:n1, :n2]


def ntk_by_products(function: Function, weights: Any, rows1: Any, rows2: Any | None) -> Array:
    """tr(J(x) J(x')^T) / k, (n1, n2), with no Jacobian: two copies of the weights at a time.

    Arguments are those of `empirical_nngp`.
    """
    columns = rows1 if rows2 is None else rows2

    def column(row: Any) -> Array:
        outputs, pull = jax.vjp(lambda drawn: function(drawn, row), weights)

        def along(unit: Array) -> Array:
            (tangent,) = pull(unit)

            def entry(other: Any) -> Array:
                moved = jax.jvp(lambda drawn: function(drawn, other), (weights,), (tangent,))[1]
                return jnp.dot(moved, unit)

            return lax.map(entry, rows1)

        return lax.map(along, jnp.eye(len(outputs), dtype=outputs.dtype)).mean(0)

    return lax.map(column, columns).T


def jacobian_bytes(function: Function, weights: Any, row: Any) -> int:
    """Upper bound of what the Jacobian of one row and all on the way to it take together."""
    return traced_bytes(lambda drawn, one: _jacobian(function, drawn, one), weights, row)


def traced_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """Bytes of every intermediate result of a function, as if none were ever freed."""
    return _bytes_of(jax.make_jaxpr(function)(*arguments).jaxpr)


def _bytes_of(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        inner = [_bytes_of(part) for part in jaxprs_in_params(equation.params)]
        made = sum(
            variable.aval.size * variable.aval.dtype.itemsize for variable in equation.outvars
        )
        total += max(made, sum(inner))
    return total


def _jacobian(function: Function, weights: Any, row: Any) -> Any:
    outputs, pull = jax.vjp(lambda drawn: function(drawn, row), weights)
    units = jnp.eye(len(outputs), dtype=outputs.dtype)
    return jax.vmap(lambda unit: pull(unit)[0])(units)


def _length(rows: Any) -> int:
    return len(jax.tree.leaves(rows)[0])


def _chunks(rows: T, size: int) -> T:
    """Rows in chunks of `size` along a new leading axis; the last row is repeated to fill them."""
    count = _length(rows)
    index = jnp.minimum(jnp.arange(-(-count // size) * size), count - 1).reshape(-1, size)
    return jax.tree.map(lambda leaf: leaf[index], rows)
