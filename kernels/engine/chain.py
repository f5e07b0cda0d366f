"""Running a chain of steps: masks, the one-input pass, the pair pass.

Everything here is for one input, or one pair of inputs; the tile functions map it over many.
What an input keeps for the pair pass (`kept.py`) is a tree with the shape of the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import Array

from kernels.demand import Demand, Step
from kernels.engine.block import Block, Side, Site, masked
from kernels.engine.kept import Chain, Observed
from kernels.engine.replicates import Replicate
from kernels.layers.structure import Parallel

Masks = tuple[Array | None, Array | None]


@dataclass(frozen=True)
class Program:
    """The two plans of one network; hashable, a compilation key."""

    one_input: tuple[Step, ...]
    pair: tuple[Step, ...]


def observe(
    program: Program,
    cov: Array | None,
    masks: Masks,
    grid: tuple[int, ...],
    numbers: Sequence[Any],
    replicate: Replicate | None = None,
) -> Chain:
    """The one-input pass: what every pair with this input will need.

    Args:
        program: the steps for one input and for two.
        cov: K(x, x) below the chain as its first step wants it; where that is a
            readout, the full block.
        masks: real positions, (P,), or None, along the rows and along the columns of `cov`. They are
            the same, but XLA's loops over a block take ten times as long where they read both from
            one slice of an array.
        grid: position sizes.
        numbers: the layers' numbers.
        replicate: of an estimated network.
    """
    return _observe(program.one_input, program.pair, cov, masks, grid, numbers, replicate)[0]


def _observe(
    own: Sequence[Step],
    pair: Sequence[Step],
    cov: Array | None,
    both_masks: Masks,
    grid: tuple[int, ...],
    numbers: Sequence[Any],
    replicate: Replicate | None,
) -> tuple[Chain, Array | None]:
    included = None if replicate is None else replicate.included
    (masks, grids), (of_columns, _) = (_outline(own, mask, grid) for mask in both_masks)
    own_weights = _readout_weights(own, masks, grids, [None] * len(own))
    if own and cov is not None:
        cov = _narrowed(cov, own[0].wanted_in, own_weights[0], own_weights[0])
    seen: list[Any] = []
    branches: list[tuple[Chain, ...]] = []
    for i, (step, values) in enumerate(zip(own, numbers, strict=True)):
        rows = Side(grids[i], masks[i], None, own_weights[i + 1])
        columns = replace(rows, mask=of_columns[i])
        below = _site(step, rows, columns, values, True, included)
        seen.append(_seen(step, cov, below, replicate))
        rows, columns = replace(rows, seen=seen[i]), replace(columns, seen=seen[i])
        site = _site(step, rows, columns, values, True, included)
        both = masks[i], of_columns[i]
        inner = _observe_branches(step, pair[i], cov, both, grids[i], values, replicate)
        branches.append(tuple(chain for chain, _ in inner))
        above: Array | None = None
        if step.wanted_out is not Demand.NOTHING:
            if step.branches:
                above = _merged(step, [Block(_known(k), None) for _, k in inner]).nngp
            else:
                above = step.layer.pair(Block(_known(cov), None), site).nngp
            above = masked(above, masks[i + 1], of_columns[i + 1])
            above = _narrowed(above, step.wanted_out, own_weights[i + 1], own_weights[i + 1])
        cov = above
    weights = _readout_weights(pair, masks, grids, seen)
    steps = tuple(
        Observed(
            masks[i + 1],
            _kept(step, seen[i]),
            weights[i + 1],
            branches[i],
            None if seen[i] is None else step.layer.doubt(seen[i]),
        )
        for i, step in enumerate(pair)
    )
    return Chain(masks[0], weights[0], steps), cov


def _seen(step: Step, cov: Array | None, site: Site, replicate: Replicate | None) -> Any:
    """What a layer observes of an input; of an estimated one the input's heads, which are handed in."""
    if step.layer.estimates:
        assert replicate is not None, "the heads of estimated layers are drawn before the pass"
        return next(replicate.heads)
    return None if step.layer.observes is Demand.NOTHING else step.layer.observe(_known(cov), site)


def _observe_branches(
    step: Step,
    pair: Step,
    cov: Array | None,
    both_masks: Masks,
    grid: tuple[int, ...],
    numbers: Any,
    replicate: Replicate | None,
) -> list[tuple[Chain, Array | None]]:
    """What the input keeps of each branch of a layer that has some, and its covariance above it."""
    if not step.branches:
        return []
    parts = zip(step.branches, pair.branches, numbers["branches"], strict=True)
    return [
        _observe(
            inner, inner_pair, _own_input_of(step, inner, cov), both_masks, grid, own, replicate
        )
        for inner, inner_pair, own in parts
    ]


def run_pair(
    steps: Sequence[Step],
    block: Block,
    grids: tuple[tuple[int, ...], tuple[int, ...]],
    left: Chain,
    right: Chain,
    numbers: Sequence[Any],
    identical: bool = False,
    included: Array | None = None,
) -> Block:
    """The pair pass: the kernels of two inputs, from their block below the chain.

    Args:
        steps: the plan for two inputs.
        block: (nngp, ntk) below the chain, as the first step wants them.
        grids: position sizes of both inputs.
        left: what x keeps.
        right: what x' keeps.
        numbers: the layers' numbers.
        identical: x' is x.
        included: see `Site`.
    """
    grid1, grid2 = grids
    below1, below2 = left.mask, right.mask
    for step, one, two, values in zip(steps, left.steps, right.steps, numbers, strict=True):
        if step.branches:
            blocks = [
                run_pair(
                    inner,
                    _narrowed_block(block, _wanted_by_branch(step, inner), chain1, chain2),
                    (grid1, grid2),
                    chain1,
                    chain2,
                    inner_values,
                    identical,
                    included,
                )
                for inner, chain1, chain2, inner_values in zip(
                    step.branches, one.branches, two.branches, values["branches"], strict=True
                )
            ]
            block = _merged(step, blocks)
        else:
            site = _site(
                step,
                Side(grid1, below1, one.seen, one.weights),
                Side(grid2, below2, two.seen, two.weights),
                values,
                identical,
                included,
            )
            block = step.layer.pair(block, site)
        grid1, grid2 = step.layer.output_grid(grid1), step.layer.output_grid(grid2)
        if step.masks:
            block = block.map(partial(masked, mask1=one.mask, mask2=two.mask))
        block = _narrowed_block(block, step.wanted_out, one, two)
        below1, below2 = one.mask, two.mask
    return block


def _site(
    step: Step, left: Side, right: Side, numbers: Any, identical: bool, included: Array | None
) -> Site:
    return Site(left, right, step.wanted_in, step.wanted_out, numbers, identical, included)


def _outline(
    steps: Sequence[Step], mask: Array | None, grid: tuple[int, ...]
) -> tuple[list[Array | None], list[tuple[int, ...]]]:
    """Masks and grids below every step, and above the last."""
    masks, grids = [mask], [grid]
    for step in steps:
        above = None
        if mask is not None and not step.layer.removes_positions:
            above = step.layer.output_mask(mask, grid)
        mask, grid = above, step.layer.output_grid(grid)
        masks.append(mask)
        grids.append(grid)
    return masks, grids


def _readout_weights(
    steps: Sequence[Step],
    masks: Sequence[Array | None],
    grids: Sequence[tuple[int, ...]],
    seen: Sequence[Any],
) -> list[Array | None]:
    """Readout weights below every step (and above the last), where a readout is wanted."""
    weights: list[Array | None] = [None] * (len(steps) + 1)
    for i in reversed(range(len(steps))):
        if steps[i].wanted_in is Demand.READOUT:
            weights[i] = steps[i].layer.readout(weights[i + 1], seen[i], masks[i], prod(grids[i]))
    return weights


def _kept(step: Step, seen: Any) -> Any:
    """What the pair pass reads of an observation: nothing where it went into the weights."""
    return None if step.wanted_in is Demand.READOUT else seen


def _merged(step: Step, blocks: Sequence[Block]) -> Block:
    assert isinstance(step.layer, Parallel)
    return step.layer.merged(blocks)


def _known(cov: Array | None) -> Array:
    assert cov is not None, "demand analysis asked for a covariance that was not carried"
    return cov


def _wanted_by_branch(step: Step, branch: Sequence[Step]) -> Demand:
    """What a branch wants of its input; an empty one hands on what is wanted of it."""
    if branch:
        return branch[0].wanted_in
    return Demand.FULL if step.wanted_out is Demand.READOUT else step.wanted_out


def _own_input_of(step: Step, branch: Sequence[Step], cov: Array | None) -> Array | None:
    """One input's own covariance for a branch, which narrows it further unless it is empty."""
    wanted = _wanted_by_branch(step, branch)
    if cov is None or wanted is Demand.NOTHING:
        return None
    return cov if branch else _narrowed(cov, wanted, None, None)


def _narrowed(k: Array, wanted: Demand, weights1: Array | None, weights2: Array | None) -> Array:
    """What is wanted above of a full block."""
    if k.ndim < 2 or wanted is Demand.FULL:
        return k
    if wanted is Demand.DIAGONAL:
        return jnp.diagonal(k)
    assert wanted is Demand.READOUT and weights1 is not None and weights2 is not None
    return jnp.matmul(jnp.matmul(weights1, k), weights2)


def _narrowed_block(
    block: Block, wanted: Demand, one: Observed | Chain, two: Observed | Chain
) -> Block:
    weights1, weights2 = one.weights, two.weights
    if wanted is Demand.READOUT and block.ntk is not None and block.ntk.ndim == 2:
        assert weights1 is not None and weights2 is not None
        # One product for the columns of both: XLA makes loops of a product of two vectors.
        rows = jnp.stack([jnp.matmul(weights1, k) for k in (block.nngp, block.ntk)])
        return Block(*jnp.matmul(rows, weights2))
    return block.map(lambda k: _narrowed(k, wanted, weights1, weights2))
