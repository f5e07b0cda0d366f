"""Buckets of lengths, so that short inputs are not computed at the length of the longest.

A few fixed edges, four an octave, bound both the padding and the number of shapes that have to be
compiled. Every pair of lengths is a function to compile, half a second each, so that a few inputs of
one edge are better computed with those of the next: 64 reviews need 26 functions instead of 62, and
an eighth more arithmetic.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs

Grid = tuple[int, ...]

_SHORT: Final = 256
"""Lengths below this have edges as far apart as its octave's: 32 positions cost less than compiling
for another shape would."""


def bucket_length(length: int) -> int:
    """The smallest bucket edge that holds `length` positions."""
    return _edge(length, 8)


def family(grid: Grid, full: float) -> Grid:
    """Equal for grids whose inputs are better computed together, at the largest of them.

    Where inputs fill up to half a group these are sequences of two neighbouring edges, where they
    fill up to an eighth those of an octave.

    Args:
        grid: position sizes.
        full: inputs of that grid over those of a full group.
    """
    if len(grid) != 1 or full > 1 / 2:
        return grid
    return (_edge(grid[0], 4 if full > 1 / 8 else 2),)


def _edge(length: int, parts: int) -> int:
    """The next of the edges that divide the upper half of an octave into `parts` / 2."""
    step = max(_SHORT, 1 << (length - 1).bit_length()) // parts
    return -(-length // step) * step


def bucket_grids(inputs: Inputs, margin: int | None) -> list[Grid]:
    """The position grid at which each input is computed.

    Only masked sequences are cut, and only where the network makes that inert: everything else
    is computed on the caller's grid, unpadded.
    """
    if margin is None or inputs.mask is None or len(inputs.grid) != 1:
        return [inputs.grid] * len(inputs)
    lengths: npt.NDArray[np.int64] = inputs.lengths
    return [(min(bucket_length(int(length) + margin), inputs.grid[0]),) for length in lengths]


def one_bucket(inputs: Inputs, margin: int | None) -> list[Grid]:
    """The same for inputs that are packed side by side: all in the bucket of the longest."""
    return [max(bucket_grids(inputs, margin))] * len(inputs)
