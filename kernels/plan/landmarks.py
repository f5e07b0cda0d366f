"""The landmarks of a result, as inputs that its tiles are computed with (kernels/estimate)."""

from __future__ import annotations

from kernels.architecture import Architecture
from kernels.estimate.landmarks import choose_rows
from kernels.estimate.places import places
from kernels.inputs import Inputs, joined
from kernels.method import Method, MonteCarlo


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
    grid = tuple(max(sizes) for sizes in zip(*(side.grid for side in sides), strict=True))
    return joined([side.padded(grid) for side in sides]).take(choose_rows(layers, sides).rows)
