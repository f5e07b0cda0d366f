"""The compiled function that draws some networks and makes their kernels, and its division."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import sqrt
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.code_memory import make_room
from kernels.compiler_options import COMPILER_OPTIONS
from kernels.finite.empirical import empirical_nngp, empirical_ntk, traced_bytes
from kernels.finite.gradients import Function, bytes_a_pair, gradients
from kernels.finite.network import Network, Row
from kernels.plan.memory import MONTE_CARLO_BYTES

_MOST_NETWORKS: Final = 64
"""Networks drawn by one compiled call, at most, so that the stop flag is looked at often."""


@dataclass(frozen=True)
class Division:
    """How the work is cut to fit in memory.

    Attributes:
        networks: networks that a compiled call draws.
        rows: inputs whose intermediate results are held at once.
        held: inputs of each side whose gradients are held at once; 0 without the ntk.
    """

    networks: int
    rows: int
    held: int


def divide(
    network: Network,
    numbers: Any,
    rows1: Row,
    rows2: Row | None,
    ntk: bool,
    samples: int,
    memory: int = MONTE_CARLO_BYTES,
) -> Division:
    """Fits the work in memory, by the sizes of everything that one input makes.

    Args:
        network: the structure.
        numbers: its numbers.
        rows1: one side.
        rows2: the other; None for the first against itself.
        ntk: whether the ntk is wanted.
        samples: networks in all.
        memory: bytes; the weights of one network come on top where they are larger.
    """
    key = jax.random.key(0)
    weights = jax.eval_shape(network.draw, key)
    weights_bytes = traced_bytes(network.draw, key)
    sides = [rows1] if rows2 is None else [rows1, rows2]
    singles = [jax.tree.map(lambda leaf: leaf[0], side) for side in sides]
    most = max(len(side.x) for side in sides)
    apply = _outputs(network, numbers, key)
    row_bytes, held, held_bytes = max(traced_bytes(apply, weights, row) for row in singles), 0, 0
    if ntk:
        made = partial(gradients, _combination(network, numbers, key, key))
        row_bytes = max(traced_bytes(made, weights, row) for row in singles)
        one, two = (jax.eval_shape(made, weights, side) for side in (singles[0], singles[-1]))
        side_bytes, pair_bytes = _bytes_of(one) + _bytes_of(two), bytes_a_pair(one, two)
        if rows2 is None and most * (side_bytes // 2) + most**2 * pair_bytes <= memory // 2:
            held = most  # one copy of the gradients serves as both sides
        else:
            held = min(most, _largest(side_bytes, pair_bytes, memory // 2))
        held_bytes = held * side_bytes + held**2 * pair_bytes
    rows = max(1, min(memory // 2 // row_bytes, most))
    networks = memory // (weights_bytes + rows * row_bytes + held_bytes)
    calls = -(-samples // max(1, min(networks, _MOST_NETWORKS, samples)))
    return Division(-(-samples // calls), rows, held)


def _bytes_of(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _largest(linear: int, square: int, limit: int) -> int:
    """The largest n >= 1 with linear n + square n^2 <= limit, or 1."""
    return max(1, int((sqrt(linear**2 + 4 * square * limit) - linear) / (2 * square)))


@lru_cache(maxsize=64)
def sampler(
    network: Network, wanted: tuple[str, ...], division: Division
) -> Callable[..., dict[str, Array]]:
    """Compiled (numbers, key, first, rows1, rows2) -> (networks, n1, n2) by name.

    Networks `first`, `first + 1`, ... are drawn, each from `fold_in(key, its number)`.
    """

    def sample(numbers: Any, key: Array, rows1: Row, rows2: Row | None) -> dict[str, Array]:
        key_weights, key_inputs, key_signs = (jax.random.fold_in(key, i) for i in range(3))
        # Weights are drawn once, not again by everything that reads them.
        weights = lax.optimization_barrier(network.draw(key_weights))
        kernels: dict[str, Array] = {}
        if "nngp" in wanted:
            outputs = _outputs(network, numbers, key_inputs)
            kernels["nngp"] = empirical_nngp(outputs, weights, rows1, rows2, division.rows)
        if "ntk" in wanted:
            combined = _combination(network, numbers, key_inputs, key_signs)
            ntk = empirical_ntk(combined, weights, rows1, rows2, division.rows, division.held)
            kernels["ntk"] = ntk
        if rows2 is None:
            kernels = {name: (k + k.T) / 2 for name, k in kernels.items()}
        return kernels

    def run(
        numbers: Any, key: Array, first: Array, rows1: Row, rows2: Row | None
    ) -> dict[str, Array]:
        with jax.default_matmul_precision("highest"):
            numbered = first + jnp.arange(division.networks)
            keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbered)
            return jax.vmap(lambda own: sample(numbers, own, rows1, rows2))(keys)

    make_room()
    return jax.jit(run, compiler_options=COMPILER_OPTIONS)


def _outputs(network: Network, numbers: Any, key: Array) -> Function:
    def outputs(weights: Any, row: Row) -> Array:
        return network.apply(weights, numbers, row, key).reshape(-1)

    return outputs


def _combination(network: Network, numbers: Any, key_inputs: Array, key_signs: Array) -> Function:
    """v . f / sqrt(C) with random signs v, (weights, row) -> (1,).

    The mean over signs of its ntk is tr(J J'^T) / C, that of all C outputs, at the price of one.
    """
    outputs = _outputs(network, numbers, key_inputs)

    def combined(weights: Any, row: Row) -> Array:
        made = outputs(weights, row)
        signs = jax.random.rademacher(key_signs, made.shape, made.dtype)
        return jnp.dot(made, signs)[None] / len(made) ** 0.5

    return combined
