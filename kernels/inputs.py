"""Arrays as they come in: checked, cast to the job's dtype, masked entries zeroed. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from kernels.errors import InputError

DTYPES: Final = ("float32", "float64")
OUTPUTS: Final = ("nngp", "ntk")
Form = Literal["matrix", "diagonal", "positions"]
FORMS: Final[tuple[Form, ...]] = ("matrix", "diagonal", "positions")
_PIECE: Final = 2**16
"""Numbers that are looked at together, where a row has no more."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One side of a kernel: n inputs that passed every check.

    Attributes:
        x: (n, *grid, channels), float32 or float64, C-contiguous, masked entries zero. The caller's
            own array where that is all of this: to be read, and not after the job.
        mask: (n, *grid) bool, True = real; None when every position is real.
    """

    x: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the position axes."""
        return self.x.shape[1:-1]

    @cached_property
    def dtype(self) -> str:
        """Name of the dtype."""
        return self.x.dtype.name

    @property
    def real(self) -> npt.NDArray[np.bool_]:
        """The mask, (n, *grid); all True where there is none."""
        return np.ones(self.x.shape[:-1], np.bool_) if self.mask is None else self.mask

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Positions up to and with the last real one, for each input; sequences only."""
        size = self.grid[0]
        if self.mask is None:
            return np.full(len(self), size)
        return size - np.argmax(self.mask[:, ::-1], axis=1)

    def take(self, rows: Sequence[int], grid: tuple[int, ...] | None = None) -> Inputs:
        """Some rows, in the order given, cut to the first `grid` positions; a view if it can be."""
        part = slice(rows[0], rows[0] + len(rows))
        if grid in (None, self.grid) and list(rows) == list(range(part.start, part.stop)):
            return Inputs(self.x[part], None if self.mask is None else self.mask[part])
        window = [slice(size) for size in (self.grid if grid is None else grid)]
        x = np.ascontiguousarray(self.x[np.asarray(rows)][:, *window])
        mask = None if self.mask is None else self.mask[np.asarray(rows)][:, *window]
        return Inputs(x, mask if mask is None else np.ascontiguousarray(mask))

    def padded(self, grid: tuple[int, ...]) -> Inputs:
        """The same inputs on a larger grid, masked positions behind their own."""
        if grid == self.grid:
            return self
        missing = [(0, 0), *((0, size - own) for size, own in zip(grid, self.grid, strict=True))]
        return Inputs(np.pad(self.x, [*missing, (0, 0)]), np.pad(self.real, missing))

    def digest(self) -> str:
        """SHA-256 of the content: shapes, dtype, entries and mask."""
        content = sha256(f"{self.x.shape}{self.x.dtype.str}{self.mask is not None}".encode())
        content.update(self.x.data)
        if self.mask is not None:
            content.update(np.packbits(self.mask).data)
        return content.hexdigest()


def joined(sides: Sequence[Inputs]) -> Inputs:
    """The rows of all sides, which have one grid and dtype, one side after the other."""
    x = np.concatenate([side.x for side in sides])
    if all(side.mask is None for side in sides):
        return Inputs(x, None)
    return Inputs(x, np.concatenate([side.real for side in sides]))


def read_inputs(
    x: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    dtype: npt.DTypeLike = "float32",
    name: str = "x1",
) -> Inputs:
    """Checks one array and its mask and casts them.

    Args:
        x: (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C), any real numeric dtype.
        mask: boolean, the shape of x without channels, True = real.
        dtype: "float32" or "float64", what the job computes in; numpy's own stand for them too.
        name: "x1" or "x2", for the pointers of errors.

    Raises:
        InputError: what was expected and what came, pointing to /x1, /mask1, /x2 or /mask2.
    """
    pointer, mask_pointer = f"/{name}", f"/mask{name[-1]}"
    dtype = _dtype_name(dtype)
    array = _array(x, "numbers", pointer)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(
            f"expected an array of integers or real numbers of at most 64 bits, got dtype "
            f"{array.dtype}",
            pointer,
        )
    if not 2 <= array.ndim <= 5:
        raise InputError(
            f"expected a batch of vectors (n, d), sequences (n, T, d), images (n, H, W, C) or "
            f"volumes (n, D, H, W, C); got shape {list(array.shape)}",
            pointer,
        )
    if 0 in array.shape:
        raise InputError(f"expected no axis of size 0, got shape {list(array.shape)}", pointer)
    real = None if mask is None else _read_mask(mask, array, mask_pointer)
    with np.errstate(over="ignore"):
        values = np.asarray(array, dtype=dtype, order="C")
    if real is not None:
        values = np.where(real[..., None], values, np.zeros((), values.dtype))
    if not finite(values):
        raise InputError(_not_finite(array, values, real, dtype), pointer)
    return Inputs(values, None if real is None or real.all() else real)


def finite(values: npt.NDArray[Any]) -> bool:
    """Whether all numbers of an array are, some rows at a time, so that the answers stay in cache."""
    step = max(1, _PIECE * len(values) // max(1, values.size))
    starts = range(0, len(values), step)
    return all(bool(np.isfinite(values[start : start + step]).all()) for start in starts)


def _dtype_name(dtype: Any) -> str:
    name = dtype
    if dtype is not None and not isinstance(dtype, str):  # numpy takes None for float64
        with suppress(TypeError):
            name = np.dtype(dtype).name
    if name not in DTYPES:
        raise InputError(f"expected dtype 'float32' or 'float64', got {dtype!r}", "/dtype")
    return name


def _array(given: npt.ArrayLike, of: str, pointer: str) -> npt.NDArray[Any]:
    """What NumPy makes of it; raises InputError for rows of differing lengths, and inside JAX."""
    try:
        array = np.asarray(given)
    except ValueError:
        array = None
    except TypeError as error:
        # By its name, as nothing here imports JAX.
        if type(error).__name__ != "TracerArrayConversionError":
            raise
        raise InputError(
            "expected an array, got one that JAX traces: kernels are computed outside of its"
            " transformations (jit, vmap, grad) and cannot be differentiated",
            pointer,
        ) from None
    if array is None or _holds_rows(array):
        raise InputError(
            f"expected a rectangular array of {of}, got rows of differing lengths or arrays as"
            " objects; pad them with zeros to one length, and give a mask that is True where a"
            " position is real",
            pointer,
        )
    return array


def _holds_rows(array: npt.NDArray[Any]) -> bool:
    """Whether its entries are arrays or lists: one axis of Python objects."""
    boxed = array.dtype == np.object_ and array.ndim == 1
    return boxed and all(hasattr(entry, "__len__") for entry in array)


def _read_mask(mask: npt.ArrayLike, x: npt.NDArray[Any], pointer: str) -> npt.NDArray[np.bool_]:
    array = _array(mask, "booleans", pointer)
    if array.dtype != np.bool_:
        raise InputError(
            f"expected a boolean mask (True = real position), got dtype {array.dtype}", pointer
        )
    if x.ndim == 2:
        raise InputError("vectors have no positions to mask; leave the mask out", pointer)
    if array.shape != x.shape[:-1]:
        raise InputError(
            f"expected a mask of shape {list(x.shape[:-1])}, that of the input without channels; "
            f"got {list(array.shape)}",
            pointer,
        )
    empty = np.flatnonzero(~array.reshape(len(array), -1).any(1))
    if empty.size:
        raise InputError(
            f"row {empty[0]} has no real position ({empty.size} such rows); leave such rows out",
            pointer,
        )
    return np.ascontiguousarray(array)


def _not_finite(
    array: npt.NDArray[Any],
    values: npt.NDArray[Any],
    real: npt.NDArray[np.bool_] | None,
    dtype: str,
) -> str:
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    found = array[place]
    if np.isfinite(found):
        return (
            f"the entry {found} at {list(place)} does not fit {dtype}; scale the input or ask for "
            f"float64"
        )
    hint = "mask that position or repair it" if real is None else "it is not masked"
    return f"expected finite numbers at real positions, got {found} at {list(place)}; {hint}"
