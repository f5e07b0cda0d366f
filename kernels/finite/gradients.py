"""The gradients of one input, in a form whose inner products make the ntk, and those products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kernels.finite.linear_map import LinearMap, Noted, by_position

Function = Callable[[Any, Any], Array]
"""(weights, row) -> (k,), for a row whose leaves have no leading axis."""


class Outer(NamedTuple):
    """The gradients of k outputs along a linear map: sum_p g_p x_p^T.

    Attributes:
        x: what the map acted on, (P, inputs).
        g: gradients along what came out, (k, P, outputs).
    """

    x: Array
    g: Array


Gradient = Outer | Array
"""Along one array of weights; an array (k, weights) where that is the cheaper form."""


def gradients(function: Function, weights: Any, row: Any) -> tuple[Gradient, ...]:
    """The gradients of k outputs along every array of weights.

    Args:
        function: the network.
        weights: a tree of `LinearMap` and, for weights that are used otherwise, of arrays.
        row: one input.
    """
    leaves, tree = jax.tree.flatten(weights, is_leaf=_is_map)
    arrays = [leaf for leaf in leaves if not _is_map(leaf)]

    def run(arrays: list[Array], taps: list[Array | None]) -> tuple[Array, list[Noted]]:
        maps = [leaf.weights for leaf in leaves if _is_map(leaf)]
        notes = [Noted(*pair) for pair in zip(maps, taps, strict=True)]
        unused, others = iter(notes), iter(arrays)
        given = [next(unused) if _is_map(leaf) else next(others) for leaf in leaves]
        return function(tree.unflatten(given), row), notes

    # Once without taps, abstractly, for their shapes.
    notes: list[Noted] = []

    def learn(arrays: list[Array]) -> Array:
        outputs, noted = run(arrays, [None] * (len(leaves) - len(arrays)))
        notes.extend(noted)
        return outputs

    jax.eval_shape(learn, arrays)

    def tapped(arrays: list[Array], taps: list[Array | None]) -> tuple[Array, list[Array | None]]:
        outputs, noted = run(arrays, taps)
        return outputs, [note.x for note in noted]

    zeros = [None if note.y is None else jnp.zeros(note.y.shape, note.y.dtype) for note in notes]
    outputs, pull, xs = jax.vjp(tapped, arrays, zeros, has_aux=True)
    along_arrays, along_taps = jax.vmap(pull)(jnp.eye(len(outputs), dtype=outputs.dtype))
    found: list[Gradient] = [g.reshape(len(g), -1) for g in along_arrays]
    for x, g, note in zip(xs, along_taps, notes, strict=True):
        if x is not None:  # else no output depends on the map
            positions_first = jax.vmap(partial(by_position, axes=note.axes))
            found.append(_cheaper(Outer(x, positions_first(g))))
    return tuple(found)


def inner_products(one: tuple[Gradient, ...], two: tuple[Gradient, ...]) -> Array:
    """The ntk of n1 inputs and n2 inputs, (n1, n2).

    Args:
        one: what `gradients` gave for n1 inputs, stacked along a leading axis.
        two: the same for n2 inputs.
    """
    return reduce(add, (_inner_product(a, b) for a, b in zip(one, two, strict=True)))


def bytes_a_pair(one: tuple[Gradient, ...], two: tuple[Gradient, ...]) -> int:
    """What `inner_products` makes of one input and another: three blocks of position pairs.

    Arguments are what `gradients` gave for each, or its shapes.
    """
    blocks = [
        a.x.dtype.itemsize * a.x.shape[0] * b.x.shape[0]
        for a, b in zip(one, two, strict=True)
        if isinstance(a, Outer) and isinstance(b, Outer)
    ]
    return 3 * max(blocks, default=8)


def _inner_product(one: Gradient, two: Gradient) -> Array:
    if not isinstance(one, Outer) or not isinstance(two, Outer):
        assert not isinstance(one, Outer) and not isinstance(two, Outer)
        k = one.shape[1]
        return jnp.matmul(one.reshape(len(one), -1), two.reshape(len(two), -1).T) / k
    k = one.g.shape[1]
    x = jnp.einsum("npi,mqi->npmq", one.x, two.x)
    g = jnp.einsum("nkpo,mkqo->npmq", one.g, two.g)
    return (x * g).sum((1, 3)) / k


def _cheaper(outer: Outer) -> Gradient:
    """The matrix itself where it is hardly larger than its factors, and products of it cheaper."""
    (positions, inputs), outputs = outer.x.shape, outer.g.shape[-1]
    if inputs * outputs > min(positions, 4) * positions * (inputs + outputs):
        return outer
    return jnp.einsum("pi,kpo->kio", *outer).reshape(len(outer.g), -1)


def _is_map(leaf: Any) -> bool:
    return isinstance(leaf, LinearMap)
