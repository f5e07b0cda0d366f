"""Where a network is estimated, and in how many groups its heads are left out. No JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kernels.layers.attention import Attention
from kernels.layers.chain import grid_after
from kernels.layers.dense import Dense
from kernels.layers.estimator import Estimator
from kernels.layers.layer import Layer

_GROUPS: Final = 32
"""Groups of the jackknife: its standard error is itself known to 1 / sqrt(2 (groups - 1)), 13 %.
All that lies above an estimated layer is computed once for each group and once for all."""

_STACKED_GROUPS: Final = 16
"""Groups where a layer above is estimated too, and costs as much for each: the standard error is then
known to 18 %."""


@dataclass(frozen=True)
class Place:
    """An estimated attention layer and what lies below it.

    Attributes:
        number: its number among the estimated layers, depth first: what its heads are drawn from,
            beside the seed.
        layer: the layer.
        estimator: how it is estimated.
        below: the layers between the input and this one, on its own branch.
    """

    number: int
    layer: Attention
    estimator: Estimator
    below: tuple[Layer, ...]

    @property
    def linear(self) -> bool:
        """Whether what queries and keys see is linear in the raw input, position by position."""
        return all(isinstance(layer, Dense) for layer in self.below)

    @property
    def stacked(self) -> bool:
        """Whether what comes in is estimated already."""
        return bool(places(self.below))

    @property
    def heads(self) -> int:
        """Heads whose weights an input keeps: those of every replicate where they differ."""
        replicates = 1 + _STACKED_GROUPS if self.stacked else 1
        return replicates * self.estimator.samples

    def grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """The positions at the layer, from those of the input."""
        return grid_after(self.below, grid)


def places(layers: Sequence[Layer]) -> tuple[Place, ...]:
    """Every estimated layer of a network, depth first; numbers may be taken out."""
    return _places_of(tuple(layers))


@lru_cache(256)
def _places_of(layers: tuple[Layer, ...]) -> tuple[Place, ...]:
    return tuple(_places(layers, (), 0))


def _places(layers: Sequence[Layer], below: tuple[Layer, ...], first: int) -> list[Place]:
    found: list[Place] = []
    for layer in layers:
        if isinstance(layer, Attention) and layer.estimator is not None:
            found.append(Place(first + len(found), layer, layer.estimator, below))
        for branch in layer.branches_of():
            found += _places(branch, below, first + len(found))
        below = (*below, layer)
    return found


def group_count(layers: Sequence[Layer]) -> int:
    """Groups into which the heads are divided; 0 where nothing is estimated."""
    found = places(layers)
    if not found:
        return 0
    most = _STACKED_GROUPS if any(place.stacked for place in found) else _GROUPS
    return min(most, *(place.estimator.units for place in found))
