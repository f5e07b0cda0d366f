"""Results on their way in: straight into an array of the right size, again from the row that broke off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gramd.arrays import Array
from gramd.errors import UnexpectedAnswer
from gramd.exchange import OCTETS, Request, Talk, exchange
from gramd.retry import Retry

DTYPES = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8"), "i8": np.dtype("<i8")}
# The dtypes that `fetch` takes, by the names that the service has for them.
KINDS = {"float32": "f4", "float64": "f8", "f4": "f4", "f8": "f8"}


class Landing:
    """Where the rows of one result land. `array` exists from the first answer on."""

    def __init__(self) -> None:
        self.array: Array | None = None
        self._bytes = memoryview(b"")
        self._filled = 0

    def begin(self, headers: Mapping[str, str]) -> None:
        """Make room for what is announced, or check that it is the rest of what was."""
        shape, dtype = _announced(headers)
        if self.array is None:
            self.array = np.empty(shape, dtype)
            self._bytes = self.array.data.cast("B")
        self._filled = self.rows * self._row_bytes
        rest = (len(self.array) - self.rows, *self.array.shape[1:])
        if shape != rest or dtype != self.array.dtype:
            raise UnexpectedAnswer(f"expected {rest} {self.array.dtype}, got {shape} {dtype}")

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        end = self._filled + len(data)
        if end > len(self._bytes):
            raise UnexpectedAnswer(f"more than the {len(self._bytes)} bytes announced came")
        self._bytes[self._filled : end] = data
        self._filled = end

    @property
    def _row_bytes(self) -> int:
        assert self.array is not None
        return self.array[:1].nbytes

    @property
    def rows(self) -> int:
        """How many whole rows need not be asked for again."""
        if self.array is None:
            return 0
        # The last row is asked for once more even when it is there: rows n to n are none.
        return min(self._filled // max(1, self._row_bytes), len(self.array) - 1)

    @property
    def complete(self) -> bool:
        """Whether everything announced has come."""
        return self.array is not None and self._filled == len(self._bytes)


def _announced(headers: Mapping[str, str]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    try:
        shape = tuple(int(size) for size in headers["x-gramd-shape"].split(","))
        return shape, DTYPES[headers["x-gramd-dtype"]]
    except (KeyError, ValueError):
        raise UnexpectedAnswer("expected X-Gramd-Shape and X-Gramd-Dtype beside a result") from None


def fetch(
    path: str,
    retry: Retry,
    rows: slice | None = None,
    cols: slice | None = None,
    dtype: str | None = None,
) -> Talk[Array]:
    """One result, or the rows and columns of it that are asked for.

    A connection that breaks off is taken up again at the first row that is not whole.
    """
    params: dict[str, str] = {}
    if dtype is not None:
        if dtype not in KINDS:
            raise ValueError(f"expected the dtype float32 or float64, got {dtype!r}")
        params["dtype"] = KINDS[dtype]
    if cols is not None:
        params["cols"] = _span(cols, "cols")
    first, last = _ends(rows, "rows") if rows is not None else (0, None)
    # Bytes are counted as they come, so they must not be compressed on the way.
    headers = {"Accept": OCTETS, "Accept-Encoding": "identity"}
    landing = Landing()

    def rest() -> Request:
        start = first + landing.rows
        own = {"rows": f"{start}:{'' if last is None else last}"} if start or rows else {}
        return Request("GET", path, params | own, headers)

    yield from exchange(rest, retry, landing)
    if landing.array is None or not landing.complete:
        raise UnexpectedAnswer("the result ended before all of it came")
    return landing.array


def _span(span: slice, name: str) -> str:
    start, stop = _ends(span, name)
    return f"{start}:{'' if stop is None else stop}"


def _ends(span: slice | Any, name: str) -> tuple[int, int | None]:
    if not isinstance(span, slice):
        raise TypeError(f"expected {name} as slice(a, b) with 0 <= a < b, got {span!r}")
    start, stop, step = span.start, span.stop, span.step
    whole = all(end is None or (isinstance(end, int) and end >= 0) for end in (start, stop))
    if not whole or step not in (None, 1):
        raise ValueError(f"expected {name} as slice(a, b) with 0 <= a < b, got {span}")
    return start or 0, stop
