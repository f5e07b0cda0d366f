"""A tile by the additive evaluation, with exact kernels where its estimate is too large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from kernels.engine.additive import Averages, Parts, averages_pass
from kernels.engine.backend import Policy
from kernels.engine.effects import combined, main_effects, thin_products
from kernels.engine.kept import Chain
from kernels.engine.packed import Packed, packed
from kernels.engine.passes import pair_pass, paired_kernels
from kernels.engine.schedule import Pair, ShouldStop, in_calls, listing
from kernels.engine.side import Group
from kernels.engine.workspace import Workspace
from kernels.plan.bins import Bins

Matrix = npt.NDArray[Any]

_ENTRIES_PER_CALL = 2**19
"""Entries of the thin products that one call returns at most; its buffers are cleared each time."""


@dataclass(frozen=True)
class AdditiveGroup:
    """A group with what the additive evaluation needs of each of its inputs.

    Attributes:
        group: the inputs and their exact one-input pass.
        averages: see `Averages`.
        own: the exact kernels of each input with itself, (size, kernels).
        packed: the inputs side by side.
    """

    group: Group
    averages: Averages
    own: jax.Array
    packed: Packed

    @property
    def nbytes(self) -> int:
        """Bytes on the device, the group's own not counted."""
        leaves = jax.tree.leaves((self.averages, self.own))
        return self.packed.nbytes + sum(leaf.nbytes for leaf in leaves)

    @classmethod
    def of(cls, parts: Parts, group: Group, numbers: Any) -> AdditiveGroup:
        """Runs the one-input parts of the additive evaluation."""
        one, numbers_of_rows = (group.x, group.chain), (numbers, group.count)
        averages = averages_pass(parts, group.grid)(*one, *numbers_of_rows)
        itself = paired_kernels(parts.network, group.grid, group.grid, identical=True)
        own = itself(*one, *one, *numbers_of_rows)
        kernels = jax.numpy.stack(list(own.values()), axis=1)
        return cls(group, averages, kernels, packed(parts, group, averages))

    def own_kernels(self, parts: Parts) -> dict[str, Matrix]:
        """Each input with itself, exactly: (n,) by name."""
        own = np.asarray(self.own)[: self.group.count]
        return dict(zip(parts.network.kernels, own.T, strict=True))

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
    pairs = _pairs(left, right)
    tile, estimate = estimated_kernels(parts, left, right, numbers, chosen, workspace, should_stop)
    good = [pair for pair in pairs if estimate[pair] <= tolerance]
    bad = [pair for pair in pairs if not estimate[pair] <= tolerance]
    _replace_exactly(parts, left, right, numbers, bad, tile, chosen, workspace, should_stop)
    return tile, max((float(estimate[pair]) for pair in good), default=0.0)


def estimated_kernels(
    parts: Parts,
    left: AdditiveGroup,
    right: AdditiveGroup,
    numbers: Any,
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> tuple[dict[str, Matrix], Matrix]:
    """The kernels of two groups, all additive, and the estimated error of each pair.

    Arguments are those of `additive_tile`, and so are the pairs that are computed.
    """
    one, two = left.group, right.group
    thin = _thin(parts, left, right, numbers, chosen, workspace, should_stop)
    facts1, facts2 = left.averages, right.averages
    effects1 = main_effects(parts, one.grid)(
        one.chain, facts1, thin[0], facts2.hats, facts2.variance, numbers, one.count
    )
    effects2 = main_effects(parts, two.grid)(
        two.chain, facts2, thin[1], facts1.hats, facts1.variance, numbers, two.count
    )
    kernels, estimates = combined(parts)(
        facts1, facts2, left.above(parts), right.above(parts),
        effects1, effects2, left.own, right.own, numbers, one.count,
    )  # fmt: skip
    tile = {name: np.array(k)[: one.count, : two.count] for name, k in kernels.items()}
    return tile, np.asarray(estimates)[: one.count, : two.count]


def _pairs(left: AdditiveGroup, right: AdditiveGroup) -> list[Pair]:
    """Those of a tile: all, or of a group with itself those with i < j."""
    return [
        (i, j)
        for i in range(left.group.count)
        for j in range(i + 1 if right is left else 0, right.group.count)
    ]


def _thin(
    parts: Parts,
    left: AdditiveGroup,
    right: AdditiveGroup,
    numbers: Any,
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> list[Matrix]:
    """(n, m, kernels, P) of the rows and (m, n, kernels, P') of the columns."""
    one, two = left.packed, right.packed
    kinds = len(parts.network.kernels)
    counts = one.bins.count, two.bins.count
    shapes = [
        (*counts, kinds, one.through.shape[1], two.through.shape[2]),
        (*counts, kinds, one.through.shape[2], two.through.shape[1]),
    ]
    thin = [np.zeros(shape, one.x.dtype) for shape in shapes]
    inputs = _pairs(left, right)
    pairs = sorted({(int(one.bins.bin[i]), int(two.bins.bin[j])) for i, j in inputs})
    run = thin_products(parts, one.grid, two.grid)

    most = max(1, _ENTRIES_PER_CALL // max(prod(shape[2:]) for shape in shapes))

    def compute(chunk: Sequence[Pair]) -> None:
        listed = listing(chunk, most)
        made = run(
            one.x, one.chain, one.through, two.x, two.chain, two.through, numbers, listed,
            len(chunk),
        )  # fmt: skip
        at = tuple(np.transpose(chunk))
        for total, part in zip(thin, made, strict=True):
            total[at] = np.asarray(part)[: len(chunk)]

    in_calls(run, pairs, compute, most, chosen.call_seconds, workspace, should_stop)
    size1, size2 = left.averages.through.shape[1], right.averages.through.shape[1]
    full = len(left.group.x), len(right.group.x)
    rows = _of_inputs(thin[0].swapaxes(3, 4), one.bins, two.bins, (*full, kinds, size1))
    columns = _of_inputs(thin[1].swapaxes(0, 1), two.bins, one.bins, (*full[::-1], kinds, size2))
    return [rows, columns]


def _of_inputs(thin: Matrix, bins: Bins, others: Bins, shape: tuple[int, ...]) -> Matrix:
    """Those of inputs, (n, m, kernels, P), from (bins, bins', kernels, slots', P) of their bins;
    zero for the inputs that groups are filled up with."""
    out = np.zeros(shape, thin.dtype)
    length, size = thin.shape[-1], shape[-1]
    for i, (at, offset, real) in enumerate(zip(bins.bin, bins.offset, bins.lengths, strict=True)):
        kept = min(real, size, length - offset)
        of_bin = thin[at][..., offset : offset + kept]
        out[i, : len(others.bin), :, :kept] = of_bin[others.bin, :, others.slot]
    return out


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
    run = pair_pass(parts.network, one.grid, two.grid, 1)
    most = len(one.x) * len(two.x)

    def compute(chunk: Sequence[Pair]) -> None:
        listed = listing(chunk, most)
        out = run(one.x, one.chain, two.x, two.chain, numbers, listed, len(chunk))
        for name, matrix in tile.items():
            at = tuple(np.transpose(chunk))
            matrix[at] = np.asarray(out[name])[at]

    in_calls(run, pairs, compute, most, chosen.call_seconds, workspace, should_stop)
