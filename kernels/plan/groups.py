"""How many inputs a group holds, and how many it is compiled for. No JAX."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Final

from kernels.demand import Demand, plan_pair
from kernels.estimate.places import places
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer
from kernels.plan.input_memory import kept_by_input
from kernels.plan.work import GroupShape, Work

_GROUP_ROWS: Final = (
    (2, 512),
    (16, 256),
    (64, 128),
    (160, 64),
    (512, 32),
    (1024, 16),
    (2048, 4),
)
"""Rows of a group by positions a side: a tile takes roughly a second on a CPU core, and is large
enough that fetching its rows and storing it cost little."""

_GROUP_BYTES: Final = 2**27
"""What a group keeps at most, unless one input keeps more: 128 MiB, four attention layers of 32
float32 inputs of 512 positions. A constant and no worker's budget: it decides what a tile is."""


@lru_cache(256)
def group_rows(
    layers: tuple[Layer, ...], grid: tuple[int, ...], channels: int, itemsize: int, final: Demand
) -> int:
    """Inputs a group holds, a power of two: fewer the longer they are, and the deeper the network.

    Args:
        layers: the canonical layers.
        grid: positions of an input in its bucket.
        channels: of an input.
        itemsize: bytes of a number.
        final: what is wanted at the network's end.
    """
    structure = structure_of(layers)
    steps = plan_pair(structure, bool(grid), final)
    every_pair = any(step.wanted_in is Demand.FULL for step in steps)
    side = prod(grid) if every_pair else max(1, round(prod(grid) ** 0.5))
    rows = next((rows for limit, rows in _GROUP_ROWS if side <= limit), 1)
    kept = kept_by_input(structure, grid, channels, itemsize, final)
    while rows > 1 and rows * kept > _GROUP_BYTES:
        rows //= 2
    return rows


@lru_cache(256)
def compiled_rows(
    layers: tuple[Layer, ...],
    count: int,
    grid: tuple[int, ...],
    channels: int,
    itemsize: int,
    final: Demand,
) -> int:
    """Rows that a group of `count` inputs is filled up to: a full group's, or a 32nd of it, ...

    Only micro-tiles with rows of the group are computed, so filling up costs little, and a ragged
    last group mostly needs no compilation of its own. A function of the group alone: its numbers
    must not depend on what else is in the job. Other arguments are those of `group_rows`.
    """
    least = 1 << (count - 1).bit_length()
    if final is Demand.FULL or places(layers):
        # Heads, and kernels by position, take too much memory to fill up with.
        return least
    rows = group_rows(layers, grid, channels, itemsize, final)
    while count <= rows // 32:
        rows //= 32
    return max(rows, least)


def filled_group(work: Work, count: int, grid: tuple[int, ...], channels: int) -> GroupShape:
    """A group of `count` inputs as it is compiled for one tile's work."""
    rows = compiled_rows(work.layers, count, grid, channels, work.itemsize, work.final)
    return GroupShape(rows, grid, channels)
