"""The main effects of the additive evaluation: the thin products of pairs, and what they make of each side.

See kernels/engine/additive.py for what is computed, and combined.py for how two sides are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.engine.additive import IN_TURN, Averages, Parts
from kernels.engine.block import Block
from kernels.engine.chain import Program, run_pair
from kernels.engine.compiled import Compiled, locked_cache
from kernels.engine.kept import Chain
from kernels.engine.over_rows import over_rows, row_of


class Effects(NamedTuple):
    """The main effect of one side of a pair, each (2,): of k and of t.

    Attributes:
        pooled: sum_i u_i f(k_i, t_i, p_i, mean p').
        mean: kbar and tbar.
        deviation: standard deviations of k_i and of t_i.
        most: largest deviations.
        peak: the largest correlation of a position with the mean of the other side, ().
    """

    pooled: Array
    mean: Array
    deviation: Array
    most: Array
    peak: Array


@locked_cache(128)
def thin_products(parts: Parts, grid1: tuple[int, ...], grid2: tuple[int, ...]) -> Compiled:
    """Compiled (x1, chain1, through1, x2, chain2, through2, numbers, pairs, count) -> two arrays:
    K (A'^T u') and (u^T A) K of each listed pair of bins.

    `through` are (n, P, S), one column for each input in the bin; results are (m, kernels, P, S')
    and (m, kernels, S, P').
    """
    sizes = prod(parts.grid(grid1)), prod(parts.grid(grid2))

    def run(
        x1: Array,
        chain1: Chain,
        through1: Array,
        x2: Array,
        chain2: Chain,
        through2: Array,
        numbers: Sequence[Any],
        pairs: Array,
        count: Array,
    ) -> tuple[Array, Array]:
        def body(m: Array, out: tuple[Array, Array]) -> tuple[Array, Array]:
            one, u1 = row_of(((x1, chain1), through1), pairs[m, 0])
            two, u2 = row_of(((x2, chain2), through2), pairs[m, 1])
            thin = parts.thin_values((one, two), (grid1, grid2), numbers, u1, u2)
            rows, columns = (jnp.stack(list(block.named().values())) for block in thin)
            return (
                lax.dynamic_update_index_in_dim(out[0], rows, m, 0),
                lax.dynamic_update_index_in_dim(out[1], columns, m, 0),
            )

        shape = len(pairs), len(parts.network.kernels)
        rows = jnp.zeros((*shape, sizes[0], through2.shape[2]), x1.dtype)
        columns = jnp.zeros((*shape, through1.shape[2], sizes[1]), x1.dtype)
        return lax.fori_loop(jnp.zeros_like(count), count, body, (rows, columns))

    return Compiled(run)


@locked_cache(64)
def main_effects(parts: Parts, grid: tuple[int, ...]) -> Compiled:
    """Compiled (chain, averages, thin, hats, variances, numbers, count) -> Effects, (n, m, ...).

    The main effects of n inputs against m others. No number depends on the grid, but two grids are two
    functions, which threads compile at the same time: `thin` is (n, m, kernels, P), `hats`
    and `variances`, (m,), are those of the others' averages.
    """
    a, program = parts.span.attention, parts.pointwise

    def run(
        chain: Chain,
        averages: Averages,
        thin: Array,
        hats: Chain,
        variances: Array,
        numbers: Sequence[Any],
        count: Array,
    ) -> Effects:
        _, attention, between, _ = parts.numbers(numbers)

        def one(chain: Chain, averages: Averages, thin: Array) -> Effects:
            mixing, u = chain.steps[a].seen, averages.u
            others, kinds, size = thin.shape
            # One product for all others: A is read once.
            mixed = mixing.rows(thin.reshape(-1, size).T).T.reshape(others, kinds, size)
            mixed = mixed + attention["b_std"] ** 2

            def effect(mixed: Array, hats: Chain, variance: Array) -> Effects:
                right = jax.tree.map(lambda leaf: _repeated(leaf[:1], size), hats)
                pooled = evaluated(program, mixed, averages.positions, right, between)
                mean = jnp.matmul(mixed, u)
                off = jnp.where(u > 0, mixed - mean[:, None], 0)
                deviation = jnp.sqrt(jnp.matmul(off**2, u))
                scale = jnp.sqrt(averages.variances * variance)
                correlation = jnp.abs(mixed[0]) / jnp.where(scale > 0, scale, 1)
                peak = jnp.where((u > 0) & (scale > 0), correlation, 0).max()
                return Effects(jnp.matmul(pooled, u), mean, deviation, jnp.abs(off).max(1), peak)

            return jax.vmap(effect)(mixed, hats, variances)

        return over_rows(one, IN_TURN, count, chain, averages, thin)

    return Compiled(run)


def evaluated(
    program: Program, mixed: Array, left: Chain, right: Chain, numbers: Sequence[Any]
) -> Array:
    """f of (k, t), (kernels, M), at M pairs of positions whose observations are given.

    Args:
        program: the pointwise layers.
        mixed: k and t, (kernels, M).
        left: what the layers observe on the left of each pair.
        right: the same on the right.
        numbers: the layers' numbers.
    """
    block = Block(mixed[0], mixed[1] if len(mixed) > 1 else None)
    grid = (mixed.shape[1],)
    done = run_pair(program.pair, block, (grid, grid), left, right, numbers)
    return jnp.stack(list(done.named().values()))


def _repeated(leaf: Array, size: int) -> Array:
    return jnp.broadcast_to(leaf, (size, *leaf.shape[1:]))
