"""Attention, pointwise layers, global pooling in O(T T') a pair: the additive evaluation.

With K the block below the attention, u the pooling weights (they sum to one) and f the pointwise
layers, the pool reads sum_ij u_i u'_j f(K2_ij) of K2 = A K A'^T, T x T'. It is never formed: with
k_i its exact mean over j and k'_j its exact mean over i, which thin products give, and kbar both,

    sum_i u_i f(k_i) + sum_j u'_j f(k'_j) - f(kbar),

exact in the main effect of each side to all orders. (Theta, and the variances on which f depends,
go along: f(k_i, t_i, p_i, mean p').) What is dropped is the interaction K2_ij - k_i - k'_j + kbar,
whose first order vanishes, and the mixed fourth order of the main effects; both are estimated for
every pair (combined.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from kernels.demand import Demand, Span, Step, additive_span, plan_one_input, plan_pair
from kernels.engine.block import Block, Side, Site
from kernels.engine.chain import Program, observe, run_pair
from kernels.engine.compiled import Compiled, locked_cache
from kernels.engine.kept import Chain, Observed
from kernels.engine.network import Network
from kernels.engine.over_rows import over_rows
from kernels.engine.passes import cross_covariance
from kernels.layers.chain import grid_after

IN_TURN = 2**30
"""Positions beyond which rows are computed one after the other, however few they have."""

HATS = 3
"""Pseudo-positions of an input: of its mean variance, and of that plus and minus its spread."""


class Averages(NamedTuple):
    """What an input gives to the additive evaluation beside its chain.

    Attributes:
        u: pooling weights over their sum, (P,).
        total: their sum, ().
        through: A^T u, (P,).
        variances: above the attention, (P,).
        variance: their mean over u, ().
        positions: what the pointwise layers observe at the P positions.
        hats: what they observe at `HATS` pseudo-positions.
        spread: s with s s' a bound of the root mean square interaction, of k and of t, (2,).
        own: the exact kernels of the input with itself, (kernels,).
    """

    u: Array
    total: Array
    through: Array
    variances: Array
    variance: Array
    positions: Chain
    hats: Chain
    spread: Array
    own: Array


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

    def read_out(
        self,
        mixed: Block,
        grids: tuple[tuple[int, ...], tuple[int, ...]],
        chains: tuple[Chain, Chain],
        numbers: Sequence[Any],
    ) -> Array:
        """The exact kernels of one input with itself, (kernels,), from `mixed`."""
        start = self.span.attention + 1
        one, two = (
            chain._replace(mask=mask_at(chain, start), steps=chain.steps[start:])
            for chain in chains
        )
        at = self.attention.layer.output_grid(self.grid(grids[0]))
        steps = self.network.program().pair[start:]
        done = run_pair(steps, mixed, (at, at), one, two, numbers[start:], identical=True)
        return jnp.stack(list(done.named().values()))

    def numbers(self, numbers: Sequence[Any]) -> tuple[Sequence[Any], Any, Sequence[Any], Any]:
        """Numbers of the layers below, of the attention, between, and above."""
        a, pool = self.span.attention, self.span.pool
        return numbers[:a], numbers[a], numbers[a + 1 : pool], numbers[pool + 1 :]

    def grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of an input at the attention."""
        return grid_after(self.network.layers[: self.span.attention], grid)

    def mixed(
        self,
        pair: tuple[tuple[Array, Chain], tuple[Array, Chain]],
        grids: tuple[tuple[int, ...], tuple[int, ...]],
        numbers: Sequence[Any],
        identical: bool,
    ) -> Block:
        """Both kernels above the attention, (P, P'), exactly."""
        block, site = self._below(pair, grids, numbers, identical)
        return self.attention.layer.pair(block, site)

    def thin_values(
        self,
        pair: tuple[tuple[Array, Chain], tuple[Array, Chain]],
        grids: tuple[tuple[int, ...], tuple[int, ...]],
        numbers: Sequence[Any],
        left: Array,
        right: Array,
    ) -> tuple[Block, Block]:
        """What the attention mixes, V = ov^2 (K, Theta + 2 K), in thin products: V `right`, (P, S'), and
        `left`^T V, (S, P'), of both kernels.

        Args:
            pair: each input with its chain.
            grids: position sizes of both inputs.
            numbers: the layers' numbers.
            left: columns to multiply from the left, (P, S).
            right: columns to multiply from the right, (P', S').
        """
        block, site = self._below(pair, grids, numbers, identical=False)
        layer = self.attention.layer
        if layer.values_have_places:
            block = layer.values(block, site)
        rows = block.map(lambda k: jnp.matmul(k, right))
        columns = block.map(lambda k: jnp.matmul(left.T, k))
        if layer.values_have_places:
            return rows, columns
        # A linear function of every entry, for which the products are the smaller place.
        return layer.values(rows, site), layer.values(columns, site)

    def _below(
        self,
        pair: tuple[tuple[Array, Chain], tuple[Array, Chain]],
        grids: tuple[tuple[int, ...], tuple[int, ...]],
        numbers: Sequence[Any],
        identical: bool,
    ) -> tuple[Block, Site]:
        (x1, one), (x2, two) = pair
        lower, own, _, _ = self.numbers(numbers)
        a = self.span.attention
        k = cross_covariance(x1, x2, Demand.FULL, None, None)
        block = Block.of_inputs(k, self.network.ntk)
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
            Side(self.grid(grid), mask_at(chain, a), chain.steps[a].seen, None)
            for grid, chain in zip(grids, (one, two), strict=True)
        )
        return block, Site(left, right, Demand.FULL, Demand.FULL, own, identical)


@locked_cache(64)
def averages_pass(parts: Parts, grid: tuple[int, ...]) -> Compiled:
    """Compiled (x, chain, x, chain, numbers, count) -> Averages of n inputs of one grid.

    The inputs come twice, see `paired_kernels`.
    """
    a, pool = parts.span.attention, parts.span.pool

    def run(
        x1: Array, chain1: Chain, x2: Array, chain2: Chain, numbers: Sequence[Any], count: Array
    ) -> Averages:
        _, _, between, _ = parts.numbers(numbers)

        def one(x1: Array, chain1: Chain, x2: Array, chain2: Chain) -> Averages:
            mixing, mask = chain1.steps[a].seen, mask_at(chain1, pool)
            weights = parts.network.layers[pool].readout(None, None, mask, mixing.read.shape[-1])
            total = weights.sum()
            u = weights / jnp.where(total > 0, total, 1)
            mixed = parts.mixed(((x1, chain1), (x2, chain2)), (grid, grid), numbers, identical=True)
            spread: list[Array] = []
            for kernel in mixed.named().values():
                within = jnp.dot(u, jnp.matmul(kernel, u))
                spread.append(jnp.sqrt(jnp.maximum(jnp.dot(u, jnp.diagonal(kernel)) - within, 0)))
            # A variance of zero may round below it; NaN stays what it is.
            variances = jnp.maximum(jnp.diagonal(mixed.nngp), 0)
            mean = jnp.dot(u, variances)
            wide = jnp.sqrt(jnp.maximum(jnp.dot(u, (variances - mean) ** 2), 0))
            at = jnp.stack([mean, mean + wide, jnp.maximum(mean - wide, 0)])
            above = mask_at(chain1, a + 1)
            variances = variances if above is None else jnp.where(above, variances, 0)
            positions = observe(
                parts.pointwise, variances, (above, above), variances.shape, between
            )
            hats = observe(parts.pointwise, at, (None, None), at.shape, between)
            own = parts.read_out(mixed, (grid, grid), (chain1, chain2), numbers)
            return Averages(
                u, total, mixing.adjoint(u), variances, mean, without_masks(positions),
                without_masks(hats), jnp.stack(spread), own,
            )  # fmt: skip

        return over_rows(one, prod(grid), count, x1, chain1, x2, chain2)

    return Compiled(run)


def mask_at(chain: Chain, step: int) -> Array | None:
    """The real positions below a step."""
    return chain.steps[step - 1].mask if step else chain.mask


def without_masks(chain: Chain) -> Chain:
    """A chain whose layers see every position as real: weights of zero take the place of masks."""

    def of_step(step: Observed) -> Observed:
        branches = tuple(without_masks(branch) for branch in step.branches)
        return Observed(None, step.seen, None, branches)

    return Chain(None, None, tuple(of_step(step) for step in chain.steps))
