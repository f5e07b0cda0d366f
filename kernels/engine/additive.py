"""Attention, pointwise layers, global pooling in O(T T') a pair: the additive evaluation.

With K the block below the attention, u the pooling weights (they sum to one) and f the pointwise
layers, the pool reads sum_ij u_i u'_j f(K2_ij) of K2 = A K A'^T, T x T'. It is never formed: with
k_i its exact mean over j and k'_j its exact mean over i, which thin products give, and kbar both,

    sum_i u_i f(k_i) + sum_j u'_j f(k'_j) - f(kbar),

exact in the main effect of each side to all orders. (Theta, and the variances on which f depends,
go along: f(k_i, t_i, p_i, mean p').) What is dropped is the interaction K2_ij - k_i - k'_j + kbar,
whose first order vanishes, and the mixed fourth order of the main effects; both are estimated for
every pair (`Estimate` below).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.demand import Demand, Span, Step, additive_span, plan_one_input, plan_pair
from kernels.engine.block import Block, Side, Site
from kernels.engine.chain import Chain, Observed, Program, observe, run_pair
from kernels.engine.compiled import Compiled, kept
from kernels.engine.passes import Network, cross_covariance, over_rows
from kernels.mechanisms.mixing import congruence_diagonal

_STEEP = 1e-4
"""Gap of the correlation to one below which f may be too steep for the estimate (near duplicates)."""

_IN_TURN = 2**30
"""Positions beyond which rows are computed one after the other, however few they have."""

_HATS = 3
"""Pseudo-positions of an input: of its mean variance, and of that plus and minus its spread."""

# The points, in standard deviations of both main effects, of a mixed fourth difference.
_GRID = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
_MIXED = [(1 if a else -2) * (1 if b else -2) / 4 for a, b in _GRID]
_HAT_OF = {0: 0, 1: 1, -1: 2}
# The points of second differences: along k and t, and along k and -t.
_STEPS = [(0, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)]


class Averages(NamedTuple):
    """What an input gives to the additive evaluation beside its chain.

    Attributes:
        u: pooling weights over their sum, (P,).
        total: their sum, ().
        through: A^T u, (P,).
        variances: above the attention, (P,).
        variance: their mean over u, ().
        positions: what the pointwise layers observe at the P positions.
        hats: what they observe at `_HATS` pseudo-positions.
        spread: s with s s' a bound of the root mean square interaction, of k and of t, (2,).
    """

    u: Array
    total: Array
    through: Array
    variances: Array
    variance: Array
    positions: Chain
    hats: Chain
    spread: Array


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


@dataclass(frozen=True)
class Parts:
    """A network cut at its span; hashable, a compilation key.

    Attributes:
        network: the whole.
        span: where it is cut.
    """

    network: Network
    span: Span

    @classmethod
    def of(cls, network: Network) -> Parts | None:
        """The parts of a network; None where its exact evaluation is as cheap.

        That is where the attention is read out linearly, and where it has no span.
        """
        span = additive_span(network.layers)
        if span is None:
            return None
        parts = cls(network, span)
        return None if parts.attention.wanted_in is Demand.READOUT else parts

    @property
    def below(self) -> tuple[Step, ...]:
        """The steps for two inputs below the attention."""
        return self.network.program().pair[: self.span.attention]

    @property
    def attention(self) -> Step:
        """The attention."""
        return self.network.program().pair[self.span.attention]

    @property
    def pointwise(self) -> Program:
        """The steps between, on a list of pairs of positions."""
        layers = self.network.layers[self.span.attention + 1 : self.span.pool]
        return Program(
            plan_one_input(layers, True, Demand.DIAGONAL),
            plan_pair(layers, True, Demand.DIAGONAL),
        )

    @property
    def above(self) -> tuple[Step, ...]:
        """The steps for two inputs above the pool."""
        return self.network.program().pair[self.span.pool + 1 :]

    def numbers(self, numbers: Sequence[Any]) -> tuple[Sequence[Any], Any, Sequence[Any], Any]:
        """Numbers of the layers below, of the attention, between, and above."""
        a, pool = self.span.attention, self.span.pool
        return numbers[:a], numbers[a], numbers[a + 1 : pool], numbers[pool + 1 :]

    def grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of an input at the attention."""
        for step in self.below:
            grid = step.layer.output_grid(grid)
        return grid

    def values(
        self,
        pair: tuple[tuple[Array, Chain], tuple[Array, Chain]],
        grids: tuple[tuple[int, ...], tuple[int, ...]],
        numbers: Sequence[Any],
        identical: bool = False,
    ) -> Block:
        """What the attention of both inputs mixes: ov^2 K and ov^2 (Theta + 2 K), (P, P')."""
        (x1, one), (x2, two) = pair
        lower, own, _, _ = self.numbers(numbers)
        a = self.span.attention
        k = cross_covariance(x1, x2, Demand.FULL, None, None)
        block = Block(k, jnp.zeros_like(k) if self.network.ntk else None)
        block = run_pair(
            self.below,
            block,
            grids,
            one._replace(steps=one.steps[:a]),
            two._replace(steps=two.steps[:a]),
            lower,
            identical,
        )
        left, right = (
            Side(self.grid(grid), _mask_at(chain, a), chain.steps[a].seen, None)
            for grid, chain in zip(grids, (one, two), strict=True)
        )
        site = Site(left, right, Demand.FULL, Demand.FULL, own, identical)
        return self.attention.layer.values(block, site)


@kept(64)
def averages_pass(parts: Parts, grid: tuple[int, ...]) -> Compiled:
    """Compiled (x, chain, numbers, count) -> Averages of n inputs of one grid."""
    a, pool = parts.span.attention, parts.span.pool

    def run(x: Array, chain: Chain, numbers: Sequence[Any], count: Array) -> Averages:
        _, attention, between, _ = parts.numbers(numbers)
        bias = attention["b_std"] ** 2

        def one(x: Array, chain: Chain) -> Averages:
            mixing, mask = chain.steps[a].seen, _mask_at(chain, pool)
            weights = parts.network.layers[pool].readout(None, None, mask, mixing.read.shape[-1])
            total = weights.sum()
            u = weights / jnp.where(total > 0, total, 1)
            through = mixing.adjoint(u)
            block = parts.values(((x, chain), (x, chain)), (grid, grid), numbers, identical=True)
            spread: list[Array] = []
            variances: list[Array] = []
            for kernel in block.named().values():
                own = congruence_diagonal(mixing, kernel, mixing) + bias
                within = jnp.dot(through, jnp.matmul(kernel, through)) + bias
                spread.append(jnp.sqrt(jnp.maximum(jnp.dot(u, own) - within, 0)))
                variances.append(own)
            own = variances[0]
            mean = jnp.dot(u, own)
            wide = jnp.sqrt(jnp.maximum(jnp.dot(u, (own - mean) ** 2), 0))
            at = jnp.stack([mean, mean + wide, jnp.maximum(mean - wide, 0)])
            above = _mask_at(chain, a + 1)
            own = own if above is None else jnp.where(above, own, 0)
            positions = observe(parts.pointwise, own, above, own.shape, between)
            hats = observe(parts.pointwise, at, None, at.shape, between)
            return Averages(u, total, through, own, mean, _without_masks(positions), _without_masks(hats),
                jnp.stack(spread),
            )  # fmt: skip

        return over_rows(one, prod(grid), count, x, chain)

    return Compiled(run)


@kept(128)
def thin_products(parts: Parts, grid1: tuple[int, ...], grid2: tuple[int, ...]) -> Compiled:
    """Compiled (x1, chain1, through1, x2, chain2, through2, numbers, pairs, count) -> two arrays:
    K (A'^T u') and (u^T A) K of each listed pair of bins.

    `through` are (n, P, S), one column for each input in the bin; results are (m, kernels, P, S')
    and (m, kernels, P', S).
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
            return jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(leaf, index, keepdims=False), rows
            )

        def body(m: Array, out: tuple[Array, Array]) -> tuple[Array, Array]:
            one, u1 = at(((x1, chain1), through1), pairs[m, 0])
            two, u2 = at(((x2, chain2), through2), pairs[m, 1])
            block = parts.values((one, two), (grid1, grid2), numbers)
            kernels = block.named().values()
            rows = jnp.stack([jnp.matmul(kernel, u2) for kernel in kernels])
            columns = jnp.stack([jnp.matmul(kernel.T, u1) for kernel in kernels])
            return (
                lax.dynamic_update_index_in_dim(out[0], rows, m, 0),
                lax.dynamic_update_index_in_dim(out[1], columns, m, 0),
            )

        shape = len(pairs), len(parts.network.kernels)
        rows = jnp.zeros((*shape, sizes[0], through2.shape[2]), x1.dtype)
        columns = jnp.zeros((*shape, sizes[1], through1.shape[2]), x1.dtype)
        return lax.fori_loop(0, count, body, (rows, columns))

    return Compiled(run)


@kept(64)
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

        return over_rows(one, _IN_TURN, count, chain, averages, thin)

    return Compiled(run)


@kept(64)
def combined(parts: Parts) -> Compiled:
    """Compiled (averages1, averages2, above1, above2, effects1, effects2, own1, own2, numbers,
    count) -> ((n, m) by name, (n, m) estimates).

    `effects1` are (n, m, kernels), `effects2` (m, n, kernels); `own` the exact kernels of each
    input with itself, (n, kernels). The estimate is of the largest error of a kernel, relative to
    sqrt(K(x, x) K(x', x')).
    """
    program = parts.pointwise

    def run(
        averages1: Averages,
        averages2: Averages,
        above1: Chain,
        above2: Chain,
        effects1: Effects,
        effects2: Effects,
        own1: Array,
        own2: Array,
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
            one: Averages, above1: Chain, effect1: Effects, own1: Array,
            two: Averages, above2: Chain, effect2: Effects, own2: Array,
        ) -> tuple[Array, Array]:  # fmt: skip
            mean = effect1.mean
            limit = jnp.sqrt(one.variance * two.variance)
            least = jnp.abs(mean[0]) / jnp.where(limit > 0, limit, 1)
            most = effect1.peak + effect2.peak - least
            reach = jnp.sign(mean) * (effect1.most + effect2.most)
            reach = reach.at[0].set(jnp.sign(mean[0]) * (most - least) * limit)
            interaction = one.spread * two.spread
            points = [mean + a * effect1.deviation + b * effect2.deviation for a, b in _GRID]
            flip = jnp.asarray([1.0, -1.0][: len(mean)], mean.dtype)
            for k, t in _STEPS:
                step = k * interaction * (1 if k == t else flip)
                points.append(mean + reach + step)
            left = _at(one.hats, [_HAT_OF[a] for a, _ in _GRID] + [0] * len(_STEPS))
            right = _at(two.hats, [_HAT_OF[b] for _, b in _GRID] + [0] * len(_STEPS))
            f = _evaluated(program, jnp.stack(points, axis=1), left, right, between)
            centre = f[:, _GRID.index((0, 0))]
            pooled = effect1.pooled + effect2.pooled - centre
            fourth = jnp.matmul(f[:, : len(_GRID)], jnp.asarray(_MIXED, f.dtype))
            at, *around = (f[:, len(_GRID) + i] for i in range(len(_STEPS)))
            seconds = [
                jnp.abs(around[i] + around[i + 1] - 2 * at) / 2 for i in range(0, len(around), 2)
            ]
            error = jnp.abs(fourth) + jnp.maximum(*seconds)
            scale = one.total * two.total
            result = finished(scale * pooled, above1, above2)
            moved = finished(scale * (pooled + error), above1, above2)
            size = jnp.sqrt(jnp.abs(own1 * own2))
            relative = jnp.abs(moved - result) / jnp.where(size > 0, size, 1)
            steep = most * limit + interaction[0] >= (1 - _STEEP) * limit
            return result, jnp.where(steep & (limit > 0), jnp.inf, relative.max())

        over_columns = jax.vmap(pair, in_axes=(None, None, 0, None, 0, 0, 0, 0))

        def row(
            one: Averages, above1: Chain, effects: Effects, own1: Array, others: Effects
        ) -> tuple[Array, Array]:
            return over_columns(one, above1, effects, own1, averages2, above2, others, own2)

        swapped = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), effects2)
        result, estimate = over_rows(
            row, _IN_TURN, count, averages1, above1, effects1, own1, swapped
        )
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


def _mask_at(chain: Chain, step: int) -> Array | None:
    """The real positions below a step."""
    return chain.steps[step - 1].mask if step else chain.mask


def _without_masks(chain: Chain) -> Chain:
    """The same observations; weights of zero take the place of masks."""

    def of_step(step: Observed) -> Observed:
        branches = tuple(_without_masks(branch) for branch in step.branches)
        return Observed(None, step.seen, None, branches)

    return Chain(None, None, tuple(of_step(step) for step in chain.steps))


def _repeated(leaf: Array, size: int) -> Array:
    return jnp.broadcast_to(leaf, (size, *leaf.shape[1:]))


def _at(hats: Chain, positions: Sequence[int]) -> Chain:
    """Observations at a list of pseudo-positions."""
    index = jnp.asarray(positions)
    return jax.tree.map(lambda leaf: leaf[index], hats)
