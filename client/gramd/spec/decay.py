# Made from kernels/registry.py; change that, then run: python -m client.generate
"""How positional kernels fall off with distance."""

from __future__ import annotations

from gramd.spec.document import Document, builder, document

__all__ = ["exponential", "indicator", "rational"]


@builder
def indicator() -> Document:
    """R[p, q] = 1 where p = q, else 0."""
    return document("indicator", {})


@builder
def rational(*, length: float = 1.0, power: float = 1.0) -> Document:
    """R[p, q] = 1 / (1 + (dist / length)^power).

    Ranges:
        length: > 0.
        power: > 0.
    """
    return document("rational", {}, length=(length, 1.0), power=(power, 1.0))


@builder
def exponential(*, length: float = 1.0, power: float = 1.0) -> Document:
    """R[p, q] = exp(-(dist / length)^power).

    Ranges:
        length: > 0.
        power: > 0.
    """
    return document("exponential", {}, length=(length, 1.0), power=(power, 1.0))
