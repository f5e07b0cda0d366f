"""Buckets of lengths, so that short inputs are not computed at the length of the longest.

A few fixed edges, four an octave, bound both the padding and the number of shapes that have to be
compiled. Every pair of lengths is a function to compile, half a second each, so that a few inputs of
one edge are better computed with those of the next: 64 reviews need 26 functions instead of 62, and
an eighth more arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs

Grid = tuple[int, ...]
Bucket = tuple[Grid, ...]
"""Grids at which a row is computed: one, or those of both sides where row i meets row i only."""

_SHORT: Final = 256
"""Up to this length edges are 32 positions apart, which cost less than compiling for another shape."""


def bucket_length(length: int) -> int:
    """The smallest bucket edge that holds `length` positions."""
    return _edge(length, 8)


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
    """The position grid at which inputs are computed that are packed side by side: for all of them that
    of the longest. Arguments are those of `bucket_grids`."""
    return [max(bucket_grids(inputs, margin))] * len(inputs)


def grouped(
    buckets: Sequence[Bucket], rows_of_a_group: Callable[[Bucket], int]
) -> Iterator[tuple[Bucket, tuple[int, ...]]]:
    """Groups of rows with the bucket in which each is computed.

    Rows of one bucket fill groups in the caller's order. What is left over goes, if it is little,
    with what is left over of the next longer bucket that it may join.

    Args:
        buckets: of every row.
        rows_of_a_group: of a full group in a bucket.
    """
    rows_in: dict[Bucket, list[int]] = {}
    for row, bucket in enumerate(buckets):
        rows_in.setdefault(bucket, []).append(row)
    left_over: dict[Bucket, list[int]] = {bucket: [] for bucket in rows_in}
    for bucket, rows in sorted(rows_in.items()):
        size = rows_of_a_group(bucket)
        full = len(rows) - len(rows) % size
        yield from _cut(bucket, rows[:full], size)
        rest = left_over[bucket] + rows[full:]
        longer = [other for other in rows_in if _may_join(bucket, other, len(rest) / size)]
        if longer:
            left_over[min(longer)] += rest
        else:
            yield from _cut(bucket, sorted(rest), size)


def _cut(
    bucket: Bucket, rows: Sequence[int], size: int
) -> Iterator[tuple[Bucket, tuple[int, ...]]]:
    for start in range(0, len(rows), size):
        yield bucket, tuple(rows[start : start + size])


def _may_join(bucket: Bucket, other: Bucket, full: float) -> bool:
    """Whether inputs of a bucket that fill so much of a group are better computed in another one.

    Edges go in pairs, and pairs in octaves: up to half a group joins the longer edge of its pair, up to
    an eighth any longer one of its octave.
    """
    parts = 4 if full > 1 / 8 else 2
    return (
        full <= 1 / 2
        and other != bucket
        and all(
            len(one) == 1 and one <= two and _edge(one[0], parts) == _edge(two[0], parts)
            for one, two in zip(bucket, other, strict=True)
        )
    )


def _edge(length: int, parts: int) -> int:
    """The next of the edges that divide the upper half of an octave into `parts` / 2."""
    step = max(_SHORT, 1 << (length - 1).bit_length()) // parts
    return -(-length // step) * step
