"""Part of a stored array, run by run, for those who stream it."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import numpy as np

from service.errors import TilesMissing
from service.store.arrays import StoredArray


async def runs(
    array: StoredArray,
    rows: range,
    cols: range | None,
    dtype: np.dtype,
    read: Callable[[StoredArray, int], Awaitable[np.ndarray | None]],
) -> AsyncGenerator[np.ndarray, None]:
    """The elements in C order, a stripe at a time, as C-contiguous arrays of `dtype`.

    array: not lower triangular. cols: None for all, and for arrays of one axis. read: the stripe of a
    number. Raises TilesMissing when one has been evicted.
    """
    if not rows:  # a range of the bytes before the elements
        return
    for number in range(rows.start // array.height, (rows.stop - 1) // array.height + 1):
        stripe = await read(array, number)
        if stripe is None:
            raise TilesMissing(1, retry_after=1)
        start = number * array.height
        own = stripe[max(0, rows.start - start) : rows.stop - start]
        if cols is not None:
            own = own[:, cols.start : cols.stop]
        yield np.ascontiguousarray(own, dtype)
