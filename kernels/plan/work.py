"""What is to be computed of two groups, as far as their memory depends on it. No JAX."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from kernels.demand import Demand, final_demand
from kernels.estimate.places import group_count
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer
from kernels.method import Method


@dataclass(frozen=True)
class Work:
    """What is to be computed of two groups.

    Attributes:
        layers: the canonical layers of the network.
        kinds: how many kernels are carried: 1 for the nngp, 2 with the ntk.
        itemsize: bytes of a number.
        every_position: the form "positions".
        method: how it is computed.
    """

    layers: tuple[Layer, ...]
    kinds: int
    itemsize: int
    every_position: bool
    method: Method

    @property
    def final(self) -> Demand:
        """What is wanted at the network's end."""
        return final_demand(self.every_position)

    @cached_property
    def structure(self) -> tuple[Layer, ...]:
        """The layers, numbers taken out."""
        return structure_of(self.layers)

    @cached_property
    def replicates(self) -> int:
        """How often what lies above an estimated layer exists; 1 where none is."""
        return group_count(self.structure) + 1


@dataclass(frozen=True)
class GroupShape:
    """One side of a tile: how many inputs of which shape.

    Attributes:
        rows: inputs, filled up to the size that is compiled.
        grid: their position sizes.
        channels: of an input.
    """

    rows: int
    grid: tuple[int, ...]
    channels: int

    @property
    def positions(self) -> int:
        """Positions of an input; 1 for a vector."""
        return max(1, prod(self.grid))
