"""Which inputs are landmarks. No JAX.

Random logits need one factor L_x of K~(x, x') = L_x L_x'^T for all inputs of a result. Above a
nonlinearity there is none of small rank; K~ is then known by its values at some inputs, frozen when
the result is planned (Nystroem). Where these are all inputs there is nothing approximate about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kernels.estimate.names import names_of
from kernels.estimate.places import places
from kernels.layers.layer import Layer

if TYPE_CHECKING:
    from kernels.inputs import Inputs

LANDMARK_POSITIONS: Final = 512
"""Positions of all landmarks together, about: every head draws the square of it as random numbers,
and every input is multiplied by them."""


class Choice(NamedTuple):
    """The landmarks of a result.

    Attributes:
        rows: their numbers, those of the second side after those of the first.
        different: how many different inputs there are.
    """

    rows: list[int]
    different: int


def choose_rows(layers: Sequence[Layer], sides: Sequence[Inputs]) -> Choice:
    """All different inputs if they fit, else as many as fit, evenly spread in the caller's order.

    They stand in the order of their names, so that where all fit the caller's order changes
    nothing.

    Args:
        layers: a network whose estimated layers need landmarks.
        sides: the rows, and the columns if they are others.
    """
    names = [tuple(name.tolist()) for side in sides for name in names_of(side)]
    positions = [
        min(real, max(prod(place.grid(side.grid)) for place in places(layers)))
        for side in sides
        for real in _real_positions(side)
    ]
    first = {name: row for row, name in reversed(list(enumerate(names)))}
    different = sorted(first.values())
    mean = sum(positions[row] for row in different) / len(different)
    count = max(1, int(LANDMARK_POSITIONS / mean))
    rows = different
    if count < len(different):
        spread = (np.arange(count) + 0.5) * len(different) / count
        rows = [different[int(place)] for place in spread]
    return Choice(sorted(rows, key=names.__getitem__), len(different))


def _real_positions(side: Inputs) -> list[int]:
    if side.mask is None:
        return [prod(side.grid)] * len(side)
    return side.mask.reshape(len(side), -1).sum(1).tolist()
