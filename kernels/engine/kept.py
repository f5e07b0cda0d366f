"""What one input keeps for the pair pass: a tree with the shape of the chain of steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import Array

from kernels.layers.layer import Doubt


class Observed(NamedTuple):
    """What one input keeps of one step.

    Attributes:
        mask: real positions above the step, (P,) bool; None if all are.
        seen: what the layer observed; None where the pair pass does not read it.
        weights: readout weights above the step, where it is read out.
        branches: the same for each branch of a parallel layer.
        doubt: how far off `seen` is; None where it is exact.
    """

    mask: Array | None
    seen: Any
    weights: Array | None
    branches: tuple[Chain, ...]
    doubt: Doubt | None = None


class Chain(NamedTuple):
    """What one input keeps of a chain.

    Attributes:
        mask: real positions below the first step.
        weights: readout weights below the first step, where it is read out.
        steps: one `Observed` a step.
    """

    mask: Array | None
    weights: Array | None
    steps: tuple[Observed, ...]


def doubts(chain: Chain) -> list[Doubt]:
    """Those of every step, branches included."""
    found: list[Doubt] = []
    for step in chain.steps:
        found += [] if step.doubt is None else [step.doubt]
        found += [doubt for branch in step.branches for doubt in doubts(branch)]
    return found
