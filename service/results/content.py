"""The bytes that a result has as `.npy` or bare, and which of its rows a range of them touches."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.http.arrays import npy_header
from service.http.bodies import NPY

# Elements that clients can ask for; all are little-endian.
DTYPES = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8")}


@dataclass(frozen=True)
class Content:
    """A result of `shape` and `dtype` as the media type `media`: a header and then the elements."""

    media: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @cached_property
    def header(self) -> bytes:
        """What stands before the elements."""
        return npy_header(self.shape, self.dtype) if self.media == NPY else b""

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.header) + math.prod(self.shape) * self.dtype.itemsize

    @property
    def kind(self) -> str:
        """The type of its elements, as headers and queries name it: f4, f8 or i8."""
        return f"{self.dtype.kind}{self.dtype.itemsize}"

    def about(self) -> dict[str, str]:
        """The headers that say what it is."""
        return {
            "X-Gramd-Shape": ",".join(map(str, self.shape)),
            "X-Gramd-Dtype": self.kind,
            "Vary": "Accept",
        }

    @property
    def suffix(self) -> str:
        """What a file of it is called."""
        return "npy" if self.media == NPY else "bin"

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, asked: range, rows: range) -> range:
        """Those of `rows`, which are the rows of this result, whose bytes are asked for."""
        first, stop = (max(0, end - len(self.header)) for end in (asked.start, asked.stop))
        return rows[first // self.row_bytes : -(-stop // self.row_bytes)]

    async def cut(
        self, runs: AsyncIterator[np.ndarray], asked: range
    ) -> AsyncIterator[bytes | memoryview]:
        """The bytes asked for; `runs` are the elements of the rows that `rows` answers."""
        if asked.start < len(self.header):
            yield self.header[asked.start : asked.stop]
        first, stop = (max(0, end - len(self.header)) for end in (asked.start, asked.stop))
        place = first - first % self.row_bytes
        async for run in runs:
            data = run.data.cast("B")
            yield data[max(0, first - place) : max(0, stop - place)]
            place += len(data)
