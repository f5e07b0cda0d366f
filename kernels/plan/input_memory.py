"""What one input keeps in memory, in bytes, for all the pairs it is in. No JAX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from kernels.demand import Demand, Step, plan_pair
from kernels.estimate.places import group_count
from kernels.layers.attention import Attention
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer
from kernels.mechanisms.flat import FEWEST
from kernels.mechanisms.mixing import cheaper_in_factors

VECTORS: Final = 2
"""Numbers that a position keeps for a layer at least: variance, readout weight or mask."""

_FLOAT32_BYTES: Final = 4


def kept_by_input(
    layers: Sequence[Layer], grid: tuple[int, ...], channels: int, itemsize: int, final: Demand
) -> int:
    """Bytes of an input, and of what its one-input pass hands to the pair pass.

    Args:
        layers: the canonical layers.
        grid: positions of the input in its bucket.
        channels: of the input.
        itemsize: bytes of a number.
        final: what is wanted at the network's end.
    """
    raw = max(1, prod(grid)) * (channels + VECTORS)
    structure = structure_of(layers)
    groups = group_count(structure)
    steps = plan_pair(structure, bool(grid), final)
    return itemsize * (raw + _kept(steps, grid, groups, itemsize, False))


def _kept(
    steps: Sequence[Step], grid: tuple[int, ...], groups: int, itemsize: int, above: bool
) -> int:
    """Numbers that an input keeps of a chain; `above` an estimated layer all exist repeatedly."""
    total = 0
    for step in steps:
        size, layer = prod(grid), step.layer
        times = groups + 1 if above else 1
        seen = 0 if layer.observes is Demand.NOTHING else layer.kept_numbers
        total += times * size * (seen + (step.wanted_in is Demand.READOUT))
        # A quarter for the mask, which is of bytes.
        total += size // 4 + 1
        total += sum(_kept(branch, grid, groups, itemsize, above) for branch in step.branches)
        if isinstance(layer, Attention) and step.wanted_in is not Demand.READOUT:
            if layer.estimator is not None:
                total += times * layer.estimator.samples * size**2
            elif layer.observes is Demand.FULL:
                total += times * _mixing_entries(layer, size, itemsize)
        above = above or layer.contains_estimate()
        grid = layer.output_grid(grid)
    return total


def _mixing_entries(attention: Attention, size: int, itemsize: int) -> int:
    """Numbers of A(x): two thin factors where the mechanism keeps those, and what it keeps beside A itself
    for attention that is flat, on whatever machine the tile will be computed."""
    columns = attention.mechanism.factor_columns(attention.causal)
    if columns is not None and cheaper_in_factors(size, columns):
        return 2 * columns * size
    flat = attention.may_be_flat and size >= FEWEST and itemsize == _FLOAT32_BYTES
    return size**2 + (size**2 // 2 + VECTORS * size if flat else 0)
