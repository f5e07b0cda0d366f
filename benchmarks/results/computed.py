"""Kernels of a whole data set with itself, computed in this process and timed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations_with_replacement
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.workloads import Array, Data, Layers
from kernels import NUMERICS_VERSION
from kernels.matrix import kernel_matrix

PIECE: Final = 500
"""Inputs a side of what is computed, and kept, at a time: a minute or two of film reviews."""


@dataclass(frozen=True)
class Computed:
    """The kernels of n inputs.

    Attributes:
        matrices: "nngp" and "ntk", (n, n).
        seconds: that computing them took, compilation included; as it was the first time.
    """

    matrices: dict[str, Array]
    seconds: float


def compute(
    layers: Layers,
    data: Data,
    *,
    method: str = "exact",
    dtype: str = "float32",
    folder: Path | None = None,
) -> Computed:
    """Both kernels of a data set with itself.

    Args:
        layers: the network.
        data: n inputs.
        method: "exact" or "additive".
        dtype: of the kernels.
        folder: pieces are kept here, under a digest of all that they depend on, and found again: a
            run that was stopped goes on where it was, a larger one needs only what is new.
    """
    n, seconds = len(data.x), 0.0
    whole = {output: np.empty((n, n), dtype) for output in ("nngp", "ntk")}
    parts = [slice(start, start + PIECE) for start in range(0, n, PIECE)]
    for rows, columns in combinations_with_replacement(parts, 2):
        one, two = _rows(data, rows), None if rows == columns else _rows(data, columns)
        request = {"layers": layers, "method": method, "dtype": dtype}
        path = None if folder is None else folder / f"{_digest(request, one, two)}.npz"
        piece = _piece(request, one, two) if path is None else _kept(path, request, one, two)
        seconds += float(piece["seconds"])
        for output, matrix in whole.items():
            matrix[rows, columns] = piece[output]
            matrix[columns, rows] = piece[output].T
    return Computed(whole, seconds)


def _rows(data: Data, rows: slice) -> Data:
    return Data(data.x[rows], None if data.mask is None else data.mask[rows])


def _piece(request: dict[str, Any], one: Data, two: Data | None) -> dict[str, Array]:
    """Both kernels and the seconds that they took."""
    started = perf_counter()
    made = kernel_matrix(
        {"layers": request["layers"]},
        one.x,
        None if two is None else two.x,
        mask1=one.mask,
        mask2=None if two is None else two.mask,
        dtype=request["dtype"],
        method={"type": request["method"]},
    )
    return {**made, "seconds": np.array(perf_counter() - started)}


def _kept(path: Path, request: dict[str, Any], one: Data, two: Data | None) -> dict[str, Array]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name only once it is whole.
        part = path.with_suffix(".part.npz")
        np.savez(part, **_piece(request, one, two))
        part.replace(path)
    with np.load(path) as file:
        return dict(file)


def _digest(request: dict[str, Any], one: Data, two: Data | None) -> str:
    named = sha256(json.dumps([request, NUMERICS_VERSION], sort_keys=True).encode())
    for side in (one, two):
        for array in () if side is None else (side.x, side.mask):
            if array is None:
                continue
            named.update(f"{array.dtype} {array.shape}".encode())
            named.update(np.ascontiguousarray(array).data)
    return named.hexdigest()[:32]
