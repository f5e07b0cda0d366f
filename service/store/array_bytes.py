"""Arrays and masks as the stores keep them, and the header that says what the bytes are.

values: little-endian, in C order. mask: of all axes but the last (the channels), eight entries a byte.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np


def little_endian(dtype: Any) -> np.dtype[Any]:
    """The dtype as it is stored; its `str` is the name in headers ("<f4")."""
    return np.dtype(dtype).newbyteorder("<")


def header_of(x: np.ndarray) -> dict[str, Any]:
    """Shape and dtype of an array, for JSON: what `values_in` needs."""
    return {"shape": list(x.shape), "dtype": little_endian(x.dtype).str}


def values_of(x: np.ndarray) -> bytes:
    """The values of an array."""
    return np.ascontiguousarray(x, little_endian(x.dtype)).tobytes()


def values_in(data: Any, header: Mapping[str, Any], start: int = 0) -> np.ndarray:
    """The array of `header` whose values begin at byte `start`: a view of the data."""
    shape = tuple(header["shape"])
    return np.frombuffer(data, header["dtype"], count=prod(shape), offset=start).reshape(shape)


def mask_of(mask: np.ndarray | None) -> bytes:
    """The bits of a mask; none without one."""
    return b"" if mask is None else np.packbits(mask).tobytes()


def mask_size(shape: Sequence[int]) -> int:
    """The bytes of the mask of an array of this shape."""
    return -(-prod(shape[:-1]) // 8)


def mask_in(data: Any, shape: Sequence[int], start: int = 0) -> np.ndarray:
    """The boolean mask, of shape[:-1], whose bits begin at byte `start`."""
    bits = np.frombuffer(data, np.uint8, offset=start)
    return np.unpackbits(bits, count=prod(shape[:-1])).astype(np.bool_).reshape(shape[:-1])
