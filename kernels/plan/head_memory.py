"""What drawing the heads of estimated layers takes in memory, in bytes. No JAX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from kernels.estimate.landmarks import LANDMARK_POSITIONS
from kernels.estimate.places import places
from kernels.plan.work import GroupShape, Work

FLOAT64_BYTES: Final = 8
"""A number of what is worked out in float64 whatever the inputs are."""

_FACTOR_ARRAYS: Final = 4
"""(P, landmark positions) arrays of an input: its kernels with the landmarks, these with positional
embeddings, their real columns, the factor (engine/landmarks.py)."""
_ROOT_ARRAYS: Final = 6
"""Square arrays around the root of a covariance: it, its symmetric half, the eigenvectors, these
scaled, the root, and what the covariance was made of."""
_MOST_LANDMARK_POSITIONS: Final = 2 * LANDMARK_POSITIONS
"""How many landmarks there are follows from the mean length, which theirs may exceed."""

_HEADS: Final = 2
"""Times the heads of a group are there: as they are drawn, and as they are handed in."""


def head_bytes(work: Work, sides: Sequence[GroupShape]) -> int:
    """Bytes of drawing heads for the groups of a tile; 0 where no layer is estimated.

    Factors in float64 through landmarks, the roots of what they leave, and the heads.
    """
    total = 0
    for place in places(work.structure):
        for side in sides:
            size = prod(place.grid(side.grid))
            factors = 0 if place.linear else _FACTOR_ARRAYS * LANDMARK_POSITIONS
            numbers = size * (factors + _ROOT_ARRAYS * size)
            heads = _HEADS * place.heads * size**2
            total += side.rows * (FLOAT64_BYTES * numbers + work.itemsize * heads)
        if not place.linear:
            total += _ROOT_ARRAYS * FLOAT64_BYTES * _MOST_LANDMARK_POSITIONS**2
    return total
