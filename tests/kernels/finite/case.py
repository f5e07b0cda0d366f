"""One network whose finite versions must approach the closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.kernels.networks import Layer

VECTORS, SEQUENCES, IMAGES, VOLUMES = (3, 4), (3, 4, 3), (2, 3, 3, 2), (2, 2, 2, 3, 2)


class Case(NamedTuple):
    """A network and how its limit is looked for.

    Attributes:
        layers: the network.
        shape: of x1.
        mask: the kind of mask.
        cross: against other inputs, not against x1 itself.
        widths: of the finite networks.
        heads: of attention, for a width.
        heavy: kernels of one network have heavy tails: a standard error of 3 % is enough.
        scale: of the inputs.
    """

    layers: list[Layer]
    shape: tuple[int, ...] = VECTORS
    mask: str = "none"
    cross: bool = False
    widths: tuple[int, ...] = (64, 128, 256)
    heads: Callable[[int], int] = lambda width: 2
    heavy: bool = False
    scale: float = 1.0
