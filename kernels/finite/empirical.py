"""NNGP and NTK of one network's outputs f(x) in R^k, by automatic differentiation.

    nngp[x, x'] = f(x) . f(x') / k
    ntk[x, x'] = tr(J(x) J(x')^T) / k,  J(x) = df(x) / dweights, (k, number of weights)

J itself is as large as k copies of the weights, and is not made: inner products of gradients are
sums over activations and what comes back to them (gradients.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import jaxprs_in_params

from kernels.finite.gradients import Function, gradients, inner_products

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


def empirical_ntk(
    function: Function, weights: Any, rows1: Any, rows2: Any | None, at_once: int, held: int
) -> Array:
    """tr(J(x) J(x')^T) / k, (n1, n2).

    Arguments are those of `empirical_nngp`, and

    Args:
        held: rows of each side whose gradients are held at the same time.
    """

    def made(rows: Any) -> Any:
        return lax.map(lambda row: gradients(function, weights, row), rows, batch_size=at_once)

    n1 = _length(rows1)
    if rows2 is None and n1 <= held:
        one = made(rows1)
        return inner_products(one, one)
    columns = rows1 if rows2 is None else rows2
    n2 = _length(columns)
    chunks1, chunks2 = _chunks(rows1, min(held, n1)), _chunks(columns, min(held, n2))

    def strip(rows: Any) -> Array:
        one = made(rows)
        blocks = lax.map(lambda others: inner_products(one, made(others)), chunks2)
        return blocks.transpose(1, 0, 2).reshape(blocks.shape[1], -1)

    strips = lax.map(strip, chunks1)
    return strips.reshape(-1, strips.shape[2])[:n1, :n2]


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


def _length(rows: Any) -> int:
    return len(jax.tree.leaves(rows)[0])


def _chunks(rows: T, size: int) -> T:
    """Rows in chunks of `size` along a new leading axis; the last row is repeated to fill them."""
    count = _length(rows)
    index = jnp.minimum(jnp.arange(-(-count // size) * size), count - 1).reshape(-1, size)
    return jax.tree.map(lambda leaf: leaf[index], rows)
