"""The landmarks of a result, as inputs that its tiles are computed with (kernels/estimate)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.estimate.landmarks import choose_rows
from kernels.estimate.places import places
from kernels.inputs import Inputs
from kernels.method import Method, MonteCarlo
from kernels.spec.architecture import Architecture


def choose_landmarks(
    architecture: Architecture, inputs1: Inputs, inputs2: Inputs | None, method: Method
) -> Inputs | None:
    """The landmarks of a result; None where no estimated layer sees its input through a nonlinearity.

    Args:
        architecture: the network, already checked against the inputs.
        inputs1: the rows.
        inputs2: the columns; None for X against X.
        method: how the kernel is computed.
    """
    layers = architecture.expanded
    if isinstance(method, MonteCarlo) or all(place.linear for place in places(layers)):
        return None
    sides = [inputs1] if inputs2 is None else [inputs1, inputs2]
    return _joined(sides).take(choose_rows(layers, sides).rows)


def _joined(sides: Sequence[Inputs]) -> Inputs:
    """Both sides as one, on the grid of the larger."""
    grid = tuple(max(sizes) for sizes in zip(*(side.grid for side in sides), strict=True))
    if all(side.grid == grid and side.mask is None for side in sides):
        return Inputs(np.concatenate([side.x for side in sides]), None)
    x, mask = zip(*(_padded(side, grid) for side in sides), strict=True)
    return Inputs(np.concatenate(x), np.concatenate(mask))


def _padded(side: Inputs, grid: tuple[int, ...]) -> tuple[Any, npt.NDArray[np.bool_]]:
    missing = [(0, size - own) for size, own in zip(grid, side.grid, strict=True)]
    real = np.ones((len(side), *side.grid), bool) if side.mask is None else side.mask
    mask = np.pad(real, [(0, 0), *missing])
    return np.pad(side.x, [(0, 0), *missing, (0, 0)]), mask
