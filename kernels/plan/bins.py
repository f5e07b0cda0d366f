"""Several short inputs side by side in bins of one length, so that one compiled shape fits all.

Where every layer reads only near neighbours, inputs that lie far enough apart do not see each
other, and the block of two bins holds the blocks of all their pairs of inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]

BIN_LENGTH: Final = 512
"""Positions of a bin, unless an input is longer: two float32 blocks of it stay in a core's L2."""

_MOST: Final = 4
"""Inputs in a bin: each takes a weight vector in the products of all."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Where each of n inputs lies.

    Attributes:
        length: positions of a bin.
        count: bins.
        bin: number of each input's bin, (n,).
        slot: its number in the bin, (n,).
        offset: its first position in the bin, (n,).
        lengths: its positions up to the last real one, (n,).
    """

    length: int
    count: int
    bin: Index
    slot: Index
    offset: Index
    lengths: Index

    @cached_property
    def slots(self) -> int:
        """Inputs in the fullest bin that one could have."""
        return 1 if self.count == len(self.bin) else _MOST

    def packed(self, rows: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
        """Rows (n, P, ...) side by side, (count, length, ...), zero between them.

        `length` is that of a bin after the layers after which P is an input's.
        """
        out = np.zeros((self.count, length, *rows.shape[2:]), rows.dtype)
        for row, (at, offset, real) in enumerate(
            zip(self.bin, self.offset, self.lengths, strict=True)
        ):
            kept = min(real, rows.shape[1], length - offset)
            out[at, offset : offset + kept] = rows[row, :kept]
        return out

    def columns(self, rows: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
        """Rows (n, P) as columns of their bins, (count, length, slots), zero elsewhere."""
        out = np.zeros((self.count, length, self.slots), rows.dtype)
        for row, (at, slot, offset, real) in enumerate(
            zip(self.bin, self.slot, self.offset, self.lengths, strict=True)
        ):
            kept = min(real, rows.shape[1], length - offset)
            out[at, offset : offset + kept, slot] = rows[row, :kept]
        return out


def one_each(count: int, length: int) -> Bins:
    """So many inputs, each in a bin of its own that it fills."""
    zeros = np.zeros(count, np.int64)
    return Bins(length, count, np.arange(count), zeros, zeros, np.full(count, length))


def pack(lengths: Index, longest: int, gap: int) -> Bins:
    """Best fit, longest first.

    Args:
        lengths: positions of each input, (n,).
        longest: positions of the longest there may be; the same for all groups of a job.
        gap: positions kept free after each input.
    """
    length = max(BIN_LENGTH, longest + gap)
    free: list[int] = []
    held: list[int] = []
    places = np.zeros((3, len(lengths)), np.int64)
    for row in np.argsort(-lengths, kind="stable"):
        needed = int(lengths[row]) + gap
        fits = [k for k, room in enumerate(free) if room >= needed and held[k] < _MOST]
        if fits:
            best = min(fits, key=free.__getitem__)
        else:
            best = len(free)
            free.append(length)
            held.append(0)
        places[:, row] = best, held[best], length - free[best]
        free[best] -= needed
        held[best] += 1
    bin_, slot, offset = places
    return Bins(length, len(free), bin_, slot, offset, np.asarray(lengths, np.int64))
