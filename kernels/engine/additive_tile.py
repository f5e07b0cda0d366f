"""A tile by the additive evaluation, with exact kernels where its estimate is too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from kernels.engine.additive import (
    Averages,
    Parts,
    averages_pass,
    combined,
    main_effects,
    thin_products,
)
from kernels.engine.backend import Policy
from kernels.engine.chain import Chain
from kernels.engine.passes import micro_tiles_per_call, own_kernels, pair_pass
from kernels.engine.schedule import Pair, ShouldStop, in_calls, listing
from kernels.engine.side import Group
from kernels.engine.workspace import Workspace

Matrix = npt.NDArray[Any]

_PAIRS_PER_CALL = 1024
"""Pairs whose thin products a call returns at most."""


@dataclass(frozen=True)
class AdditiveGroup:
    """A group with what the additive evaluation needs of each of its inputs.

    Attributes:
        group: the inputs and their exact one-input pass.
        averages: see `Averages`.
        own: the exact kernels of each input with itself, (size, kernels).
    """

    group: Group
    averages: Averages
    own: jax.Array

    @property
    def nbytes(self) -> int:
        """Bytes on the device, the group's own not counted."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves((self.averages, self.own)))

    @classmethod
    def of(cls, parts: Parts, group: Group, numbers: Any) -> AdditiveGroup:
        """Runs the one-input parts of the additive evaluation."""
        arguments = group.x, group.chain, numbers, group.count
        averages = averages_pass(parts, group.grid)(*arguments)
        own = own_kernels(parts.network, group.grid)(*arguments)
        return cls(group, averages, jax.numpy.stack(list(own.values()), axis=1))

    def above(self, parts: Parts) -> Chain:
        """What the layers above the pool observed."""
        chain = self.group.chain
        return chain._replace(mask=None, steps=chain.steps[parts.span.pool + 1 :])


def additive_tile(
    parts: Parts,
    left: AdditiveGroup,
    right: AdditiveGroup,
    numbers: Any,
    tolerance: float,
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> tuple[dict[str, Matrix], float]:
    """The kernels of two groups, or of the pairs i < j of one, and the largest estimated error.

    Args:
        parts: the network, cut.
        left: the rows.
        right: the columns; the same object for a group with itself, whose other pairs are zero.
        numbers: the layers' numbers.
        tolerance: pairs whose estimate is larger are computed exactly.
        chosen: the backend's policy.
        workspace: threads.
        should_stop: asked between calls.
    """
    one, two = left.group, right.group
    pairs = [
        (i, j) for i in range(one.count) for j in range(i + 1 if right is left else 0, two.count)
    ]
    thin = _thin(parts, left, right, numbers, pairs, chosen, workspace, should_stop)
    effects1 = main_effects(parts, one.grid)(
        one.chain, left.averages, thin[0], right.averages.hats, numbers, one.count
    )
    effects2 = main_effects(parts, two.grid)(
        two.chain, right.averages, thin[1].swapaxes(0, 1), left.averages.hats, numbers, two.count
    )
    kernels, estimates = combined(parts)(
        left.averages, right.averages, left.above(parts), right.above(parts),
        effects1, effects2, left.own, right.own, numbers, one.count,
    )  # fmt: skip
    tile = {name: np.array(k)[: one.count, : two.count] for name, k in kernels.items()}
    estimate = np.asarray(estimates)
    good = [pair for pair in pairs if estimate[pair] <= tolerance]
    bad = [pair for pair in pairs if not estimate[pair] <= tolerance]
    _replace_exactly(parts, left, right, numbers, bad, tile, chosen, workspace, should_stop)
    return tile, max((float(estimate[pair]) for pair in good), default=0.0)


def _thin(
    parts: Parts,
    left: AdditiveGroup,
    right: AdditiveGroup,
    numbers: Any,
    pairs: Sequence[Pair],
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> list[Matrix]:
    """(n, m, kernels, P) and (n, m, kernels, P'), zero for pairs that are not wanted."""
    one, two = left.group, right.group
    through = left.averages.through, right.averages.through
    kinds = len(parts.network.kernels)
    thin = [
        np.zeros((len(one.x), len(two.x), kinds, side.shape[1]), one.x.dtype) for side in through
    ]
    run = thin_products(parts, one.grid, two.grid)

    def compute(chunk: Sequence[Pair]) -> None:
        listed = listing(chunk, _PAIRS_PER_CALL)
        made = run(
            one.x, one.chain, through[0], two.x, two.chain, through[1], numbers, listed, len(chunk)
        )
        at = tuple(np.transpose(chunk))
        for total, part in zip(thin, made, strict=True):
            total[at] = np.asarray(part)[: len(chunk)]

    in_calls(pairs, compute, _PAIRS_PER_CALL, chosen.call_seconds, workspace, should_stop)
    return thin


def _replace_exactly(
    parts: Parts,
    left: AdditiveGroup,
    right: AdditiveGroup,
    numbers: Any,
    pairs: Sequence[Pair],
    tile: dict[str, Matrix],
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> None:
    """Writes the exact kernels of the pairs into the tile."""
    if not pairs:
        return
    one, two = left.group, right.group
    run: Callable[..., Any] = pair_pass(parts.network, one.grid, two.grid, 1)
    most = micro_tiles_per_call(1, ())

    def compute(chunk: Sequence[Pair]) -> None:
        listed = listing(chunk, most)
        out = run(one.x, one.chain, two.x, two.chain, numbers, listed, len(chunk))
        for name, matrix in tile.items():
            matrix[tuple(np.transpose(chunk))] = np.asarray(out[name])[: len(chunk), 0, 0]

    in_calls(pairs, compute, most, chosen.call_seconds, workspace, should_stop)
