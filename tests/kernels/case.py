"""One problem for kernel_matrix, as the tables of the tests write it."""

from typing import NamedTuple

from tests.kernels.networks import Layer


class Case(NamedTuple):
    """A network, the shapes of both sides (None: X against X), and the kind of mask."""

    layers: list[Layer]
    shape1: tuple[int, ...]
    shape2: tuple[int, ...] | None
    mask: str = "none"
