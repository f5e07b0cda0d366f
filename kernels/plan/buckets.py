"""Buckets of lengths, so that short inputs are not computed at the length of the longest.

A few fixed edges, two an octave, bound both the padding (a third at most, above 64) and the number
of shapes that have to be compiled.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs

_FIRST: Final = (32, 64, 96)
"""Below 32 positions an input costs less than compiling another shape would."""


def bucket_length(length: int) -> int:
    """The smallest bucket edge that holds `length` positions."""
    if length <= _FIRST[-1]:
        return _FIRST[bisect_left(_FIRST, length)]
    for octave in count():
        for edge in (128, 192):
            if length <= edge << octave:
                return edge << octave
    raise AssertionError("unreachable: count() does not end")


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
