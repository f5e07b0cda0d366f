"""The additive evaluation of pairs: thin products, main effects, and both put together.

See kernels/engine/additive.py for what is computed.
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
from kernels.engine.over_rows import over_rows
from kernels.layers.fusion import materialised

_STEEP = 1e-4
"""Gap of the correlation to one below which f may be too steep for the estimate (near duplicates)."""

# The points, in standard deviations of both main effects, of a mixed fourth difference.
_GRID = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
_MIXED = [(1 if a else -2) * (1 if b else -2) / 4 for a, b in _GRID]
_HAT_OF = {0: 0, 1: 1, -1: 2}
# The points of second differences: along k and t, and along k and -t.
_STEPS = [(0, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)]


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
        def at(rows: Any, index: Array) -> Any:
            def cut() -> Any:
                return jax.tree.map(
                    lambda leaf: lax.dynamic_index_in_dim(leaf, index, keepdims=False), rows
                )

            return materialised(cut)

        def body(m: Array, out: tuple[Array, Array]) -> tuple[Array, Array]:
            one, u1 = at(((x1, chain1), through1), pairs[m, 0])
            two, u2 = at(((x2, chain2), through2), pairs[m, 1])
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

    The main effects of n inputs of one grid against m others: `thin` is (n, m, kernels, P), `hats`
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
                pooled = _evaluated(program, mixed, averages.positions, right, between)
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


@locked_cache(64)
def combined(parts: Parts) -> Compiled:
    """Compiled (averages1, averages2, above1, above2, effects1, effects2, numbers, count)
    -> ((n, m) by name, (n, m) estimates).

    `effects1` are (n, m, kernels), `effects2` (m, n, kernels). The estimate is of the largest error
    of a kernel, relative to sqrt(K(x, x) K(x', x')).
    """
    program = parts.pointwise

    def run(
        averages1: Averages,
        averages2: Averages,
        above1: Chain,
        above2: Chain,
        effects1: Effects,
        effects2: Effects,
        numbers: Sequence[Any],
        count: Array,
    ) -> tuple[dict[str, Array], Array]:
        _, _, between, upper = parts.numbers(numbers)

        def finished(pooled: Array, above1: Chain, above2: Chain) -> Array:
            kernels = dict(zip(parts.network.kernels, pooled, strict=True))
            block = Block(kernels["nngp"], kernels.get("ntk"))
            done = run_pair(parts.above, block, ((), ()), above1, above2, upper)
            return jnp.stack(list(done.named().values()))

        def pair(
            one: Averages, above1: Chain, effect1: Effects,
            two: Averages, above2: Chain, effect2: Effects,
        ) -> tuple[Array, Array]:  # fmt: skip
            mean = effect1.mean
            limit = jnp.sqrt(one.variance * two.variance)
            least = jnp.abs(mean[0]) / jnp.where(limit > 0, limit, 1)
            most = effect1.peak + effect2.peak - least
            reach = jnp.sign(mean) * (effect1.most + effect2.most)
            reach = reach.at[0].set(jnp.sign(mean[0]) * (most - least) * limit)
            interaction = one.spread * two.spread
            # All points in one expression: XLA takes longer to compile a point at a time.
            ways = jnp.stack([effect1.deviation, effect2.deviation])
            steps = jnp.asarray(_STEPS, mean.dtype).T[: len(mean)]
            points = jnp.concatenate(
                [
                    mean[:, None] + jnp.matmul(jnp.asarray(_GRID, mean.dtype), ways).T,
                    (mean + reach)[:, None] + interaction[:, None] * steps,
                ],
                axis=1,
            )
            left = _at(one.hats, [_HAT_OF[a] for a, _ in _GRID] + [0] * len(_STEPS))
            right = _at(two.hats, [_HAT_OF[b] for _, b in _GRID] + [0] * len(_STEPS))
            f = _evaluated(program, points, left, right, between)
            centre = f[:, _GRID.index((0, 0))]
            pooled = effect1.pooled + effect2.pooled - centre
            fourth = jnp.matmul(f[:, : len(_GRID)], jnp.asarray(_MIXED, f.dtype))
            at, around = f[:, len(_GRID)], f[:, len(_GRID) + 1 :]
            second = jnp.abs(around[:, ::2] + around[:, 1::2] - 2 * at[:, None]).max(1) / 2
            error = jnp.abs(fourth) + second
            scale = one.total * two.total
            both = jnp.stack([scale * pooled, scale * (pooled + error)])
            result, moved = jax.vmap(finished, in_axes=(0, None, None))(both, above1, above2)
            size = jnp.sqrt(jnp.abs(one.own * two.own))
            relative = jnp.abs(moved - result) / jnp.where(size > 0, size, 1)
            steep = most * limit + interaction[0] >= (1 - _STEEP) * limit
            return result, jnp.where(steep & (limit > 0), jnp.inf, relative.max())

        over_columns = jax.vmap(pair, in_axes=(None, None, 0, 0, 0, 0))

        def row(
            one: Averages, above1: Chain, effects: Effects, others: Effects
        ) -> tuple[Array, Array]:
            return over_columns(one, above1, effects, averages2, above2, others)

        swapped = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), effects2)
        result, estimate = over_rows(row, IN_TURN, count, averages1, above1, effects1, swapped)
        return dict(zip(parts.network.kernels, jnp.moveaxis(result, -1, 0), strict=True)), estimate

    return Compiled(run)


def _evaluated(
    program: Program, mixed: Array, left: Chain, right: Chain, numbers: Sequence[Any]
) -> Array:
    """f of (k, t), (kernels, M), at M pairs of positions whose observations are given."""
    block = Block(mixed[0], mixed[1] if len(mixed) > 1 else None)
    grid = (mixed.shape[1],)
    done = run_pair(program.pair, block, (grid, grid), left, right, numbers)
    return jnp.stack(list(done.named().values()))


def _repeated(leaf: Array, size: int) -> Array:
    return jnp.broadcast_to(leaf, (size, *leaf.shape[1:]))


def _at(hats: Chain, positions: Sequence[int]) -> Chain:
    """Observations at a list of pseudo-positions."""
    index = jnp.asarray(positions)
    return jax.tree.map(lambda leaf: leaf[index], hats)
