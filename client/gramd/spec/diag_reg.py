# Made from kernels/registry.py; change that, then run: python -m client.generate
"""What a model adds to the diagonal of its training kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gramd.spec.document import Document, builder, document

__all__ = ["absolute", "loo", "relative"]


@builder
def absolute(value: float) -> Document:
    """This number is added to the diagonal of the training kernel.

    Attributes:
        value: the number, in the units of the kernel.

    Ranges:
        value: >= 0.
    """
    return document("absolute", {"value": value})


@builder
def relative(*, value: float = 0.0001) -> Document:
    """This share of the mean of the diagonal is added to the diagonal.

    Attributes:
        value: the share, 1e-4 for a ten-thousandth.

    Ranges:
        value: >= 0.
    """
    return document("relative", {}, value=(value, 0.0001))


@builder
def loo(
    *, criterion: Literal["mse", "log_density"] = "mse", grid: Sequence[float] | None = None
) -> Document:
    """The value of a grid with the best closed-form leave-one-out score.

    Attributes:
        criterion: "mse", the mean squared error; "log_density", the mean log predictive density
            (Gaussian processes only).
        grid: candidates, relative to the mean diagonal.
    """
    return document("loo", {}, criterion=(criterion, "mse"), grid=(grid, None))
