"""Which layer to blame when a kernel is not finite, and whether it is zero for want of range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.architecture import Architecture
from kernels.errors import NumericsError
from kernels.inputs import Inputs, finite
from kernels.layers.layer import Layer

_ROUNDING = 1e-6
"""Of the kernel that an input would have if nothing cancelled: a float64 kernel below it may be what
cancelling leaves of zero."""

Compute = Callable[[Sequence[Layer], Inputs, Inputs | None], dict[str, npt.NDArray[Any]]]


def check_finite(
    computed: dict[str, npt.NDArray[Any]],
    architecture: Architecture,
    rows1: Inputs,
    rows2: Inputs | None,
    compute: Compute,
) -> None:
    """Raises unless every entry of a tile is finite.

    Args:
        computed: the tile, by name.
        architecture: its network.
        rows1: its rows.
        rows2: its columns; None for the rows against themselves.
        compute: the kernels of a list of layers for one input and another (or itself), whatever
            positions are left at the end.

    Raises:
        NumericsError: naming the first layer after which the first bad pair is not finite.
    """
    for name, values in computed.items():
        if finite(values):
            continue
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        row, column = place[0], place[1] if values.ndim > 1 else place[0]
        one = rows1.take([row])
        two = (rows1 if rows2 is None else rows2).take([column])
        same = rows2 is None and row == column
        index, layer = _first_failure(architecture, one, None if same else two, compute)
        helps = rows1.dtype == "float32" and layer.float64_helps
        wider = ", or ask for float64" if helps else ""
        raise NumericsError(
            f"the {name} of a pair of inputs is not finite in {rows1.dtype} after layer {index} of "
            f"the canonical form ({layer.name()}): {layer.not_finite}{wider}"
        )


def check_not_vanished(
    computed: dict[str, npt.NDArray[Any]],
    architecture: Architecture,
    rows: Inputs,
    compute: Compute,
) -> None:
    """Raises where an input's float32 kernel with itself is zero, and in float64 it is not.

    Args:
        computed: the tile of a group with itself, (n, n) or (n,), by name.
        architecture: its network.
        rows: its inputs; one that is all zero may have a kernel of zero.
        compute: as in `check_finite`.

    Raises:
        NumericsError: a kernel is below the smallest number of float32, which takes it for zero.
    """
    if rows.dtype != "float32" or architecture.exactness == "estimated":
        return

    @cache
    def in_float64(row: int, signs: bool) -> dict[str, npt.NDArray[Any]]:
        one = rows.take([row])
        x = one.x.astype(np.float64)
        wide = Inputs(x if signs else np.abs(x), one.mask)
        return compute(architecture.expanded, wide, None)

    for name, values in computed.items():
        own = np.diagonal(values) if values.ndim > 1 else values
        # One is enough: where it is zero by design of the network, the others are.
        row = next((int(row) for row in np.flatnonzero(own == 0) if rows.x[row].any()), None)
        if row is None:
            continue
        exact = float(in_float64(row, True)[name].mean())
        # Only positions cancel, whose covariances have signs, and without signs of the input have none.
        if exact <= 0 or exact <= _ROUNDING * float(in_float64(row, False)[name].mean()):
            continue
        raise NumericsError(
            f"the {name} of an input with itself is {exact:.3g}, which float32 takes for zero; use "
            f"larger inputs or stds (w_std = sqrt(2) keeps variances under relu), normalise with "
            f"layer_norm, or ask for float64"
        )


def _first_failure(
    architecture: Architecture, one: Inputs, two: Inputs | None, compute: Compute
) -> tuple[int, Layer]:
    layers = architecture.expanded
    for index, layer in enumerate(layers[:-1]):
        kernels = compute(layers[: index + 1], one, two)
        if not all(np.isfinite(kernel).all() for kernel in kernels.values()):
            return index, layer
    return len(layers) - 1, layers[-1]
