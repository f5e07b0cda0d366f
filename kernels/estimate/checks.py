"""Whether heads fit in memory, and what is approximate about them. No JAX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Final

from kernels.errors import InputError, SpecError
from kernels.estimate.landmarks import choose_rows
from kernels.estimate.places import Place, places
from kernels.layers.attention import Attention

if TYPE_CHECKING:
    from kernels.architecture import Architecture
    from kernels.inputs import Inputs

MAX_HEAD_ENTRIES: Final = 2**27
"""Entries that one input keeps of its heads: half a GiB in float32, and a pair has two inputs."""


def check_heads(architecture: Architecture, sides: Sequence[Inputs]) -> list[str]:
    """Checks the estimated layers of a network.

    Args:
        architecture: the network.
        sides: the rows, and the columns if they are others.

    Returns:
        warnings: what is approximated beyond the standard error.

    Raises:
        SpecError: the heads of one input do not fit in memory.
        InputError: the positions of both sides are not numbered alike.
    """
    layers = architecture.expanded
    found = places(layers)
    for place in found:
        positions = max(prod(place.grid(side.grid)) for side in sides)
        entries = place.heads * positions**2
        if entries > MAX_HEAD_ENTRIES:
            most = max(4, MAX_HEAD_ENTRIES * place.estimator.samples // entries)
            raise SpecError(
                f'attention of scaling "sqrt" keeps {place.estimator.samples} heads of '
                f"{positions} x {positions} weights of each input, {entries} numbers in all, and "
                f"at most {MAX_HEAD_ENTRIES} fit in memory: ask for at most {most} samples, or "
                f"shorten the inputs, pool or stride earlier",
                _pointer(architecture, place),
            )
    _check_numbering(found, sides)
    if all(place.linear for place in found):
        return []
    rows, different = choose_rows(layers, sides)
    if len(rows) == different:
        return []
    warning = (
        f"the logits of attention above a nonlinearity share what {len(rows)} of the {different} "
        f"different inputs (landmarks) tell of their covariance; what two others have in common "
        f"beyond that is left out, and the standard error does not show it: with {len(rows)} "
        f"inputs or fewer nothing is"
    )
    return [warning]


def _check_numbering(found: Sequence[Place], sides: Sequence[Inputs]) -> None:
    """Column p of the embeddings' factor has to be the same place on both sides; row by row, it is on
    grids that agree beyond their first axis."""
    one, two = sides[0].grid, sides[-1].grid
    if one[1:] != two[1:] and any(place.linear and place.layer.positional for place in found):
        common = [max(sizes) for sizes in zip(one, two, strict=True)]
        raise InputError(
            f"x1 has positions {list(one)} and x2 has {list(two)}; embeddings of positions in "
            f'attention of scaling "sqrt" are drawn for one grid: pad both sides to {common} and '
            f"send masks",
            "/x2",
        )


def _pointer(architecture: Architecture, place: Place) -> str:
    """Where the caller wrote the layer, or what contains it."""
    before = 0
    for index, layer in enumerate(architecture.layers):
        within = len(places(layer.expand()))
        if place.number < before + within:
            pointer = f"/layers/{index}"
            return f"{pointer}/estimator/samples" if isinstance(layer, Attention) else pointer
        before += within
    raise AssertionError("every place is in a layer")
