"""Buckets of lengths, so that short inputs are not computed at the length of the longest.

A few fixed edges bound both the padding and the number of shapes that have to be compiled: two an
octave up to 256 positions, four above, where products of attention take most of the time and grow
with the cube of the padding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs

_SHORTEST: Final = 32
"""Below this an input costs less than compiling another shape would."""

_COARSE: Final = 256
"""Up to this many positions the padding costs less than compiling more shapes would."""


def bucket_length(length: int) -> int:
    """The smallest bucket edge that holds `length` positions."""
    octave = 1 << (length - 1).bit_length()
    step = max(_SHORTEST, octave // (4 if octave <= _COARSE else 8))
    return -(-length // step) * step


def bucket_grids(inputs: Inputs, margin: int | None) -> list[tuple[int, ...]]:
    """The position grid at which each input is computed.

    Only masked sequences are cut, and only where the network makes that inert: everything else
    is computed on the caller's grid, unpadded.
    """
    if margin is None or inputs.mask is None or len(inputs.grid) != 1:
        return [inputs.grid] * len(inputs)
    lengths: npt.NDArray[np.int64] = inputs.lengths
    return [(min(bucket_length(int(length) + margin), inputs.grid[0]),) for length in lengths]


def one_bucket(inputs: Inputs, margin: int | None) -> list[tuple[int, ...]]:
    """The same for inputs that are packed side by side: all in the bucket of the longest."""
    return [max(bucket_grids(inputs, margin))] * len(inputs)
