"""The structure of a network as the engine compiles it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod

from kernels.demand import Demand, plan_one_input, plan_pair
from kernels.engine.chain import Program
from kernels.estimate.places import places
from kernels.layers.chain import grid_after
from kernels.layers.layer import Layer
from kernels.layers.mixed_inputs import MixedInputs


@dataclass(frozen=True)
class Network:
    """The structure of a network on inputs with or without positions; a compilation key.

    Attributes:
        layers: the canonical layers, numbers taken out.
        positions: whether inputs have position axes.
        ntk: whether the tangent kernel is wanted beside the nngp.
        final: POINT for one number a pair of inputs, FULL for one a pair of their positions.
        head_groups: into which the heads of estimated layers are divided; 0 if there are none.
    """

    layers: tuple[Layer, ...]
    positions: bool
    ntk: bool
    final: Demand = Demand.POINT
    head_groups: int = 0

    # Looked up many times a tile.
    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.layers, self.positions, self.ntk, self.final, self.head_groups))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels that the pair pass carries."""
        return ("nngp", "ntk") if self.ntk else ("nngp",)

    def program(self) -> Program:
        """The plans for one input and for two."""
        return _program(self.layers, self.positions, self.final)

    def within_tolerance(self) -> Network:
        """The network whose layers are exact, though slower, for every input whose error the caller does
        not tolerate."""
        return replace(self, layers=tuple(layer.within_tolerance() for layer in self.layers))

    def entry(self, grid1: tuple[int, ...], grid2: tuple[int, ...]) -> tuple[int, ...]:
        """Axes of one pair's kernel: () or, where positions are kept, (P, P') at the end.

        Those of an estimated network follow an axis of replicates.
        """
        replicates = (self.replicates,) if self.replicates else ()
        if self.final is Demand.POINT:
            return replicates
        ends = (grid_after(self.layers, grid) for grid in (grid1, grid2))
        return (*replicates, *map(prod, ends))

    @cached_property
    def replicates(self) -> int:
        """Of an estimated network: how often the pair pass computes what is above the estimate,
        for all heads and for all but each group of them (kernels/estimate); else 0."""
        return self.head_groups + 1 if places(self.layers) else 0

    @property
    def mixes_inputs(self) -> bool:
        """Whether its inputs are mixed before anything is made of them."""
        return bool(self.layers) and isinstance(self.layers[0], MixedInputs)

    @cached_property
    def demands(self) -> set[Demand]:
        """What layers want of the blocks of pairs below them."""
        return {step.wanted_in for step in self.program().pair}

    def elements_per_pair(self, grid1: tuple[int, ...], grid2: tuple[int, ...]) -> int:
        """Entries of the largest block that a pair of inputs needs."""
        if Demand.FULL in self.demands:
            return max(1, self.replicates) * prod(grid1) * prod(grid2)
        return prod(grid1) if Demand.DIAGONAL in self.demands else 1


@lru_cache(64)
def _program(layers: tuple[Layer, ...], positions: bool, final: Demand) -> Program:
    return Program(plan_one_input(layers, positions), plan_pair(layers, positions, final))
