"""The compiled function that draws some networks and makes their kernels, and its division."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.finite.empirical import (
    Function,
    empirical_nngp,
    jacobian_bytes,
    ntk_by_jacobians,
    ntk_by_products,
    traced_bytes,
)
from kernels.finite.network import Network, Row

MEMORY: Final = 2**28
"""Bytes that the intermediate results of one compiled call may take: 256 MiB."""

_MOST_NETWORKS: Final = 64
"""Networks drawn by one compiled call, at most, so that the stop flag is looked at often."""

_COMPILER_OPTIONS: Final = {"xla_cpu_multi_thread_eigen": False}
"""As in engine/passes.py: tiles are the unit of parallelism, and bits depend on no environment."""


@dataclass(frozen=True)
class Division:
    """How the work is cut to fit in memory.

    Attributes:
        networks: networks that a compiled call draws.
        rows: inputs whose intermediate results are held at once.
        jacobians: whether the ntk is made from Jacobians; else from products.
    """

    networks: int
    rows: int
    jacobians: bool


def divide(
    network: Network,
    numbers: Any,
    rows1: Row,
    rows2: Row | None,
    ntk: bool,
    samples: int,
    memory: int = MEMORY,
) -> Division:
    """Fits the work in memory, by the sizes of everything that one input makes.

    Args:
        network: the structure.
        numbers: its numbers.
        rows1: one side.
        rows2: the other; None for the first against itself.
        ntk: whether the ntk is wanted.
        samples: networks in all.
        memory: bytes.
    """
    key = jax.random.key(0)
    weights = jax.eval_shape(network.draw, key)
    weights_bytes = traced_bytes(network.draw, key)
    sides = [rows1] if rows2 is None else [rows1, rows2]
    singles = [jax.tree.map(lambda leaf: leaf[0], side) for side in sides]
    apply = _outputs(network, numbers, key)
    row_bytes = max(traced_bytes(apply, weights, row) for row in singles)
    jacobians = False
    if ntk:
        combined = _combination(network, numbers, key, key)
        jacobian = sum(jacobian_bytes(combined, weights, row) for row in singles)
        jacobians = weights_bytes + jacobian <= memory
        row_bytes = jacobian if jacobians else row_bytes
    most = max(len(side.x) for side in sides)
    rows = max(1, min((memory - weights_bytes) // row_bytes, most))
    networks = max(1, min(memory // (weights_bytes + rows * row_bytes), _MOST_NETWORKS, samples))
    calls = -(-samples // networks)
    return Division(-(-samples // calls), rows, jacobians)


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
            if division.jacobians:
                ntk = ntk_by_jacobians(combined, weights, rows1, rows2, division.rows)
            else:
                ntk = ntk_by_products(combined, weights, rows1, rows2)
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

    return jax.jit(run, compiler_options=_COMPILER_OPTIONS)


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
