"""The compiled functions: the passes over a group's inputs, the pair pass over micro-tiles.

Each is compiled once per structure and shape; numbers such as w_std are arguments. Shapes come
from buckets and powers of two, so there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from math import prod
from operator import add, mul
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.compiler_options import COMPILER_OPTIONS, LARGE_PRODUCTS, QUICKLY
from kernels.demand import Demand, Step, may_be_flat, multiplies, wanted_by
from kernels.engine.backend import Policy, micro_tile_edge
from kernels.engine.block import Block, Side, Site
from kernels.engine.chain import Masks, observe, run_pair
from kernels.engine.compiled import Compiled, locked_cache
from kernels.engine.kept import Chain
from kernels.engine.network import Network
from kernels.engine.over_rows import over_rows
from kernels.engine.replicates import replicates_of_one, replicates_of_pair
from kernels.layers.mixed_inputs import MixedInputs
from kernels.processor import multiplies_bfloat16

HeadStates = tuple[Array, ...]
_Progress = tuple[Array, dict[str, Array]]
"""How many micro-tiles are done, and the tile so far, by name."""

_SMALL: Final = 128
"""Positions up to which products of matrices are small, see `LARGE_PRODUCTS`."""

_FEW: Final = 8
"""Channels up to which products of channels are added one by one."""


def _own_covariance(x: Array, wanted: Demand) -> Array | None:
    """K(x, x) of one raw input, (P, channels) or (channels,), as is wanted.

    Where that is a readout, the full block: its weights are known to the chain only.
    """
    if wanted is Demand.NOTHING:
        return None
    channels = x.shape[-1]
    if wanted in (Demand.FULL, Demand.READOUT):
        return jnp.matmul(x, x.T) / channels
    return (x * x).sum(-1) / channels


def cross_covariance(
    x1: Array, x2: Array, wanted: Demand, weights1: Array | None, weights2: Array | None
) -> Array:
    """K(x, x') of two raw inputs: (P, P'), (P,) or (), as is wanted."""
    channels = x1.shape[-1]
    if wanted is Demand.FULL:
        return jnp.matmul(x1, x2.T) / channels
    if wanted is Demand.DIAGONAL:
        if channels > _FEW:
            return lax.dot_general(x1, x2, (((1,), (1,)), ((0,), (0,)))) / channels
        # Vectors of positions: XLA's sum over an axis takes five times as long, and a product of
        # matrices with so few channels three times.
        one, two = lax.optimization_barrier(x1.T), lax.optimization_barrier(x2.T)
        return reduce(add, map(mul, one, two)) / channels
    if wanted is Demand.READOUT:
        assert weights1 is not None and weights2 is not None
        x1, x2 = jnp.matmul(weights1, x1), jnp.matmul(weights2, x2)
    return jnp.dot(x1, x2) / channels


def _pair(
    network: Network, steps: tuple[Step, ...], grids: Any, numbers: Any, identical: bool
) -> Callable[[Array, Chain, Array, Chain], Block]:
    wanted = wanted_by(steps, Demand.POINT)

    def kernels_of(x1: Array, one: Chain, x2: Array, two: Chain) -> Block:
        k = cross_covariance(x1, x2, wanted, one.weights, two.weights)
        below = Block.of_inputs(k, network.ntk)

        def run(one: Chain, two: Chain, included: Array | None = None) -> Block:
            return run_pair(steps, below, grids, one, two, numbers, identical, included)

        if not network.replicates:
            return run(one, two)
        return replicates_of_pair(network.head_groups, steps, run)(one, two)

    return kernels_of


@locked_cache(64)
def one_input_pass(network: Network, grid: tuple[int, ...]) -> Compiled:
    """Compiled (x, masks, numbers, heads, count) -> Chain over n inputs of one grid.

    x is (n, P, channels) or (n, channels), masks twice the same (n, P) or None, heads what the inputs keep of the
    heads of each estimated layer; each leaf of the result has a leading axis of n, and is meant for
    the first `count` inputs only.
    """
    program = network.program()
    wanted = wanted_by(program.one_input, Demand.NOTHING)

    def run(
        x: Array, masks: Masks, numbers: Sequence[Any], heads: HeadStates, count: Array
    ) -> Chain:
        def one(x: Array, rows: Array | None, columns: Array | None, heads: HeadStates) -> Chain:
            cov = _own_covariance(x, wanted)
            run = partial(observe, program, cov, (rows, columns), grid, numbers)
            if not network.replicates:
                return run()
            replicates = replicates_of_one(network.layers, network.head_groups, program.pair, run)
            return replicates(heads)

        return over_rows(one, prod(grid), count, x, *masks, heads)

    return Compiled(run)


@locked_cache(64)
def inputs_pass(network: Network, grid: tuple[int, ...]) -> Compiled:
    """Compiled (x, masks, numbers, count) -> (n, P, channels): the inputs of a network that starts
    with `MixedInputs` as its pairs meet them. Arguments are those of `one_input_pass`."""
    layer = network.layers[0]
    assert isinstance(layer, MixedInputs)

    def run(x: Array, masks: Masks, numbers: Sequence[Any], count: Array) -> Array:
        def one(x: Array, rows: Array | None, columns: Array | None) -> Array:
            left, right = (Side(grid, mask, None, None) for mask in (rows, columns))
            site = Site(left, right, Demand.FULL, Demand.FULL, numbers[0], identical=True)
            return layer.mixed(x, site)

        return over_rows(one, prod(grid), count, x, *masks)

    return Compiled(run)


@locked_cache(128)
def paired_kernels(
    network: Network, grid1: tuple[int, ...], grid2: tuple[int, ...], identical: bool
) -> Compiled:
    """Compiled (x1, chain1, x2, chain2, numbers, count) -> (n, *entry) by name: row i with row i.

    Args:
        network: the structure of the network.
        grid1: of the rows.
        grid2: of the columns.
        identical: both sides are the same inputs; position p then meets itself, so its correlation
            is one, exactly. Both are arguments all the same: XLA's loops over a block take ten
            times as long where they read its rows and its columns from one slice.
    """
    steps = network.program().pair

    def run(
        x1: Array, chain1: Chain, x2: Array, chain2: Chain, numbers: Sequence[Any], count: Array
    ) -> dict[str, Array]:
        kernels_of = _pair(network, steps, (grid1, grid2), numbers, identical)

        def one(*sides: Any) -> dict[str, Array]:
            return kernels_of(*sides).named()

        positions = max(prod(grid1), prod(grid2))
        return over_rows(one, positions, count, x1, chain1, x2, chain2)

    return Compiled(run)


@locked_cache(128)
def pair_pass(
    network: Network,
    grid1: tuple[int, ...],
    grid2: tuple[int, ...],
    edge: int,
    shortened: Callable[[Array, Chain], tuple[Array, Chain]] | None = None,
) -> Compiled:
    """Compiled (x1, chain1, x2, chain2, numbers, pairs, count) -> (n1, n2, *entry) by name.

    `pairs` (m, 2) lists micro-tiles by their place along both sides, row by row; the first `count`
    of them are computed, each with `edge` inputs a side, and the rest of the result is zero. Rows of
    both sides are multiples of `edge`. Inputs that come at more positions than `grid1` and `grid2`
    are cut to these by `shortened`.
    """
    steps = network.program().pair

    def run(
        x1: Array,
        chain1: Chain,
        x2: Array,
        chain2: Chain,
        numbers: Sequence[Any],
        pairs: Array,
        count: Array,
    ) -> dict[str, Array]:
        kernels_of = _pair(network, steps, (grid1, grid2), numbers, identical=False)
        micro_tile = _one_pair(kernels_of) if edge == 1 else _all_pairs(kernels_of)

        def rows(side: Any, at: Array) -> Any:
            def cut(leaf: Array) -> Array:
                return lax.dynamic_slice_in_dim(leaf, at * edge, edge)

            found = jax.tree.map(cut, side)
            return found if shortened is None else shortened(*found)

        entry = network.entry(grid1, grid2)

        def row(state: _Progress) -> _Progress:
            """The listed micro-tiles of one row, from the k-th on: it is cut out once for all."""
            place = pairs[state[0], 0]
            left = rows((x1, chain1), place)

            def listed(state: _Progress) -> Array:
                return (state[0] < count) & (pairs[state[0], 0] == place)

            def column(state: _Progress) -> _Progress:
                k, out = state
                to = pairs[k, 1]
                block = micro_tile(*left, *rows((x2, chain2), to)).named()
                at = (place * edge, to * edge, *[jnp.zeros_like(to)] * len(entry))
                return k + 1, {
                    name: lax.dynamic_update_slice(total, block[name], at)
                    for name, total in out.items()
                }

            return lax.while_loop(listed, column, state)

        empty = jnp.zeros((len(x1), len(x2), *entry), x1.dtype)
        start = (jnp.zeros_like(count), dict.fromkeys(network.kernels, empty))
        return lax.while_loop(lambda state: state[0] < count, row, start)[1]

    # Long sequences come in every pair of buckets, images on one grid.
    many = edge == 1 and len(grid1) == 1 and multiplies(steps)
    options = COMPILER_OPTIONS | QUICKLY if many else COMPILER_OPTIONS
    large = edge == 1 and not network.replicates and min(prod(grid1), prod(grid2)) > _SMALL
    if large and not (may_be_flat(steps) and multiplies_bfloat16()):
        options = options | LARGE_PRODUCTS
    return Compiled(run, options)


def _all_pairs(kernels_of: Callable[..., Block]) -> Callable[..., Block]:
    """The kernels of a pair as those of each of some rows with each of some columns."""
    over_columns = jax.vmap(kernels_of, in_axes=(None, None, 0, 0))
    return jax.vmap(over_columns, in_axes=(0, 0, None, None))


def _one_pair(kernels_of: Callable[..., Block]) -> Callable[..., Block]:
    """The kernels of a pair as those of one row with one column, with leading axes of 1: long inputs
    come in many shapes, and a function that is not vectorised is traced three times as fast."""

    def micro_tile(*sides: Any) -> Block:
        of_pair = kernels_of(*jax.tree.map(lambda leaf: leaf[0], sides))
        return jax.tree.map(lambda kernel: kernel[None, None], of_pair)

    return micro_tile


def edge_for(
    network: Network, grid1: tuple[int, ...], grid2: tuple[int, ...], chosen: Policy, rows: int
) -> int:
    """Inputs a side of a micro-tile."""
    elements = network.elements_per_pair(grid1, grid2)
    return micro_tile_edge(chosen, elements, multiplies(network.program().pair), rows)
