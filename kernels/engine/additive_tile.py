"""A tile by the additive evaluation, with exact kernels where its estimate is too large."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.engine.additive import Parts
from kernels.engine.additive_group import (
    AdditiveGroup,
    Call,
    both_effects,
    effects_of_one,
    pairs_per_call,
    thin,
    thin_shapes,
)
from kernels.engine.backend import Policy
from kernels.engine.compiled import Compiled
from kernels.engine.passes import pair_pass
from kernels.engine.schedule import PairList, ShouldStop, all_pairs, in_calls, listing
from kernels.engine.shortened import Shortened, enough_positions
from kernels.engine.workspace import Workspace
from kernels.plan.bins import Bins

Matrix = npt.NDArray[Any]


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
    estimates = estimate[tuple(pairs.T)]
    good = estimates <= tolerance
    _replace_exactly(
        parts, left, right, numbers, pairs[~good], tile, chosen, workspace, should_stop
    )
    return tile, float(estimates[good].max(initial=0.0))


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
    rows, columns = _thin(parts, left, right, numbers, chosen, workspace, should_stop)
    effects1 = _called(effects_of_one(parts, left, right, numbers, rows))
    effects2 = _called(effects_of_one(parts, right, left, numbers, columns))
    kernels, estimates = _called(both_effects(parts, left, right, numbers, effects1, effects2))
    tile = {name: np.array(k)[: one.count, : two.count] for name, k in kernels.items()}
    return tile, np.asarray(estimates)[: one.count, : two.count]


def _called(call: Call) -> Any:
    run, arguments = call
    return run(*arguments)


def _pairs(left: AdditiveGroup, right: AdditiveGroup) -> PairList:
    """Those of a tile: all, or of a group with itself those with i < j."""
    return all_pairs(left.group.count, right.group.count, 0 if right is left else None)


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
    one, two = left.packed.bins, right.packed.bins
    shapes = thin_shapes(parts, left, right)
    total = [np.zeros((one.count, two.count, *shape), left.group.x.dtype) for shape in shapes]
    rows, columns = _pairs(left, right).T
    pairs = np.stack([one.bin[rows], two.bin[columns]], axis=1)
    # What bins b and b' have in common is what b' and b have, transposed.
    pairs = np.unique(np.sort(pairs, axis=1) if right is left else pairs, axis=0)
    most = pairs_per_call(parts, left, right)

    def compute(chunk: PairList) -> list[Matrix]:
        made = _called(thin(parts, left, right, numbers, *listing(chunk, most)))
        return [np.asarray(part)[: len(chunk)] for part in made]

    run, _ = thin(parts, left, right, numbers, None, 0)
    calls = in_calls(run, pairs, compute, most, chosen.call_seconds, workspace, should_stop)
    for chunk, made in calls:
        for all_of_them, part in zip(total, made, strict=True):
            all_of_them[tuple(chunk.T)] = part
    if right is left:
        b, other = pairs.T
        total[0][other, b] = np.swapaxes(total[1][b, other], 2, 3)
        total[1][other, b] = np.swapaxes(total[0][b, other], 2, 3)
    kinds = len(parts.network.kernels)
    size1, size2 = left.averages.through.shape[1], right.averages.through.shape[1]
    full = len(left.group.x), len(right.group.x)
    return [
        _of_inputs(total[0].swapaxes(3, 4), one, two, (*full, kinds, size1)),
        _of_inputs(total[1].swapaxes(0, 1), two, one, (*full[::-1], kinds, size2)),
    ]


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
    pairs: PairList,
    tile: dict[str, Matrix],
    chosen: Policy,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> None:
    """Writes the exact kernels of the pairs into the tile."""
    one, two, network = left.group, right.group, parts.network
    by_size: dict[int | None, list[tuple[int, int]]] = {}
    for i, j in pairs.tolist():
        by_size.setdefault(enough_positions(network, one, two, (i, j)), []).append((i, j))
    most = len(one.x) * len(two.x)
    for size, alike in by_size.items():
        if size is None:
            run = pair_pass(network, one.grid, two.grid, 1)
        else:
            run = pair_pass(network, (size,), (size,), 1, Shortened(network, size))

        def compute(chunk: PairList, run: Compiled = run) -> dict[str, Matrix]:
            sides = one.x, one.chain, two.x, two.chain
            out = run(*sides, numbers, *listing(chunk, most))
            at = tuple(chunk.T)
            return {name: np.asarray(kernel)[at] for name, kernel in out.items()}

        those = np.array(alike)
        calls = in_calls(run, those, compute, most, chosen.call_seconds, workspace, should_stop)
        for chunk, made in calls:
            for name, matrix in tile.items():
                matrix[tuple(chunk.T)] = made[name]
