"""Arrays as callers have them, made into what the service takes: batch first, with a mask if ragged."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Any numpy array."""

Inputs: TypeAlias = Any
"""What arrays are made from: an array (n, d), (n, T, d), (n, H, W, C), (n, D, H, W, C), nested
lists, anything that numpy can read, or a list of arrays (T_i, d) of differing lengths, which may be
an array of objects or a column of a data frame too."""


def as_inputs(x: Inputs, mask: Any = None, *, name: str = "x1") -> tuple[Array, Array | None]:
    """The array and the boolean mask (or None) that inputs stand for.

    A list of arrays (T_i, d), or (H_i, W_i, C), whose sizes differ is padded with zeros to the
    largest; its mask is true where a position is real. `mask` may be a list of masks then, (T_i).

    Raises ValueError and TypeError that say what was expected; `name` is what they call it.
    """
    x, mask = listed(x), listed(mask)
    pieces = _pieces(x)
    if pieces is not None:
        return _padded(pieces, mask, name)
    values = _numbers(x, name)
    if mask is None:
        return values, None
    real = np.asarray(mask)
    if real.dtype != bool:
        raise TypeError(f"the mask of {name} must be boolean, true where real; got {real.dtype}")
    return values, real


def is_ragged(x: Inputs) -> bool:
    """Whether it is a list of arrays whose shapes differ."""
    return _pieces(listed(x)) is not None


def listed(x: Any) -> Any:
    """An array of objects, or a column of a data frame, that holds arrays as the list of them;
    anything else as it is."""
    if len(getattr(x, "shape", ())) != 1:
        return x
    column: Array = np.asarray(x)
    arrays = column.dtype == np.object_ and all(
        hasattr(entry, "__len__") and not isinstance(entry, str | bytes) for entry in column
    )
    return column.tolist() if arrays else x


def _pieces(x: Inputs) -> list[Array] | None:
    """The arrays of a list whose shapes differ; None for what is rectangular."""
    if not isinstance(x, Sequence) or isinstance(x, str | bytes):
        return None
    items = cast("Sequence[Any]", x)
    if not items or not all(hasattr(item, "__len__") for item in items):
        return None
    try:
        arrays = [np.asarray(item) for item in items]
    except ValueError:  # nested lists that are ragged further inside: numpy's own words are good
        return None
    return arrays if len({array.shape for array in arrays}) > 1 else None


def _padded(pieces: list[Array], mask: Any, name: str) -> tuple[Array, Array]:
    first = pieces[0]
    for index, piece in enumerate(pieces):
        if piece.ndim < 2:
            raise ValueError(
                f"expected {name} to be a list of arrays (T_i, d); {name}[{index}] is {piece.shape}."
                " Numbers of tokens need an embedding first, a vector (d) for each"
            )
        if piece.ndim != first.ndim or piece.shape[-1] != first.shape[-1]:
            raise ValueError(
                f"expected {name} to be a list of arrays (T_i, d) with one d, or (H_i, W_i, C) with"
                f" one C; {name}[0] is {first.shape}, {name}[{index}] is {piece.shape}"
            )
    sizes = np.array([piece.shape[:-1] for piece in pieces])
    grid = tuple(sizes.max(axis=0).tolist())
    dtype = np.result_type(*pieces)
    values = np.zeros((len(pieces), *grid, first.shape[-1]), dtype)
    real = np.zeros((len(pieces), *grid), bool)
    masks: Sequence[Any] = [True] * len(pieces) if mask is None else mask
    if len(masks) != len(pieces):
        raise ValueError(f"expected {len(pieces)} masks of {name}, one a piece; got {len(masks)}")
    for index, (piece, own) in enumerate(zip(pieces, masks, strict=True)):
        place = (index, *(slice(size) for size in piece.shape[:-1]))
        values[place] = piece
        part = np.asarray(own)
        if part.dtype != bool or part.shape not in ((), piece.shape[:-1]):
            raise ValueError(
                f"expected the mask of {name}[{index}] to be boolean {piece.shape[:-1]};"
                f" got {part.dtype} {part.shape}"
            )
        real[place] = part
    return _numbers(values, name), real


def _numbers(x: Inputs, name: str) -> Array:
    values = np.asarray(x)
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"expected {name} to be an array of real numbers, got dtype {values.dtype};"
            " convert it first, for instance with x.astype('float32')"
        )
    # Wider floats are not the same on every machine.
    return values.astype(np.float64) if values.dtype.itemsize > 8 else values


def npy(array: Array) -> bytes:
    """The bytes that numpy.save writes."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return buffer.getvalue()
