"""What a tile costs, before it is computed: counted from what each layer must deliver. No JAX.

    passes over elements   entries of the block that a layer reads (kernels/demand.py), times how
                           dear the layer is for each
    products               2 (P^2 P' + P P'^2) operations where attention mixes a whole block
    one input              the same with P' = P, for every row of both sides
    additive               none of these products for a pair, but 2 (P^2 + P'^2) operations

in seconds of a nominal CPU core. The numbers are right to a factor of a few, which is enough: the
service learns from every tile what a worker really takes (service/queue/pace.py), and a cost is what it
measures that in.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from kernels.architecture import Architecture
from kernels.demand import (
    Demand,
    Span,
    Step,
    additive_span,
    final_demand,
    plan_one_input,
    plan_pair,
)
from kernels.inputs import Form
from kernels.layers.attention import Attention
from kernels.layers.chain import grid_after, structure_of
from kernels.layers.mixed_inputs import MixedInputs, with_mixed_inputs
from kernels.method import Additive, Method, MonteCarlo
from kernels.plan.tiles import Tile, TilePlan

_PASS_S: Final = 4e-10
"""One element through one cheap pass."""
_OPERATION_S: Final = 1e-11
"""One operation of a matrix product: 100 GFlop/s of a core in float32."""
_CALL_S: Final = 2e-3
"""A tile of no size at all: fetching rows, one compiled call, storing."""

Shape = tuple[tuple[int, int], tuple[tuple[int, ...], tuple[int, ...]]]
"""Rows and grids of both sides: all tiles of one shape cost the same."""


def tile_costs(
    architecture: Architecture,
    plan: TilePlan,
    *,
    outputs: Sequence[str],
    dtype: str,
    method: Method,
    positions: bool,
) -> list[float]:
    """Nominal seconds of every tile of a plan, in its order.

    Args:
        architecture: the network.
        plan: its tiles.
        outputs: "nngp", "ntk" or both.
        dtype: "float32" or "float64".
        method: how the kernels are computed.
        positions: whether the inputs have position axes.
    """

    def shape(tile: Tile) -> Shape:
        one, two = plan.groups1[tile.row], plan.groups2[tile.col]
        return (len(one.rows), len(two.rows)), (one.grid, two.grid)

    shapes = [shape(tile) for tile in plan.tiles]
    costs = {
        each: tile_cost(
            architecture, *each, outputs=outputs, dtype=dtype, form=plan.form, method=method,
            positions=positions,
        )
        for each in set(shapes)
    }  # fmt: skip
    return [costs[each] for each in shapes]


def tile_cost(
    architecture: Architecture,
    rows: tuple[int, int],
    grids: tuple[tuple[int, ...], tuple[int, ...]],
    *,
    outputs: Sequence[str],
    dtype: str,
    form: Form,
    method: Method,
    positions: bool,
) -> float:
    """Nominal seconds of one tile: `rows` inputs of `grids` on either side."""
    layers = structure_of(with_mixed_inputs(architecture.expanded, method))
    size = 2.0 if dtype == "float64" else 1.0
    both = 2.0 if "ntk" in outputs else 1.0
    pairs = rows[0] if form == "diagonal" else rows[0] * rows[1]
    if isinstance(method, MonteCarlo):
        weights = method.width**2 * max(1, len(layers))
        forward = sum(n * max(1, prod(grid)) for n, grid in zip(rows, grids, strict=True))
        work = method.samples * both * (forward * weights * 2 + pairs * method.width)
        return _CALL_S + size * work * _OPERATION_S
    final = final_demand(form == "positions")
    steps = plan_pair(layers, positions, final)
    span = additive_span(layers) if isinstance(method, Additive) else None
    if span is None or steps[span.attention].wanted_in is Demand.READOUT:
        pair = _chain(steps, *grids)
    else:
        pair = _additive(steps, span, *grids)
    own = plan_one_input(layers, positions, final)
    one = sum(n * _chain(own, grid, grid) for n, grid in zip(rows, grids, strict=True))
    if isinstance(layers[0], MixedInputs):
        mixing = layers[0].attention
        one += sum(n * _mixing(mixing, prod(grid)) for n, grid in zip(rows, grids, strict=True))
    # One-input results are kept between the tiles of a row or column: half of them, say.
    return _CALL_S + size * both * (pairs * pair + one / 2)


def _chain(steps: Sequence[Step], grid1: tuple[int, ...], grid2: tuple[int, ...]) -> float:
    """Seconds for one pair of inputs through the steps."""
    total = 0.0
    for step in steps:
        total += _step(step, prod(grid1), prod(grid2))
        total += sum(_chain(branch, grid1, grid2) for branch in step.branches)
        grid1, grid2 = (step.layer.output_grid(grid) for grid in (grid1, grid2))
    return total


def _mixing(attention: Attention, positions: int) -> float:
    """Seconds for one raw input to be mixed: its logits and what becomes of them."""
    return attention.passes * _PASS_S * positions**2


def _additive(
    steps: Sequence[Step], span: Span, grid1: tuple[int, ...], grid2: tuple[int, ...]
) -> float:
    """Seconds for one pair with the attention, and what follows it up to the pool, on the means over
    rows and over columns: no product of blocks."""
    total = _chain(steps[: span.attention], grid1, grid2)
    below = [step.layer for step in steps[: span.attention]]
    sizes = [prod(grid_after(below, grid)) for grid in (grid1, grid2)]
    # Thin products take as long as reading the block does.
    total += _PASS_S * sizes[0] * sizes[1] + 2 * _OPERATION_S * sum(size**2 for size in sizes)
    between = steps[span.attention + 1 : span.pool]
    rows = sum(step.layer.passes for step in between)
    return total + _PASS_S * rows * sum(sizes)


def _step(step: Step, positions1: int, positions2: int) -> float:
    block = positions1 * positions2
    entries = {
        Demand.NOTHING: 0,
        Demand.POINT: 1,
        Demand.DIAGONAL: min(positions1, positions2),
        Demand.READOUT: 1,
        Demand.FULL: block,
    }[step.wanted_in]
    layer = step.layer
    seconds = entries * layer.passes * _PASS_S
    if isinstance(layer, Attention) and step.wanted_out is Demand.FULL:
        products = 2 * block * (positions1 + positions2) * _OPERATION_S
        seconds += products * (1 if layer.estimator is None else layer.estimator.samples)
    return seconds
