"""The pairs of inputs of two groups by the additive evaluation, exact where its error is too large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
import numpy.typing as npt

from kernels.engine.additive import Parts
from kernels.engine.additive_group import (
    AdditiveGroup,
    Call,
    both_effects,
    compile_ahead,
    effects_of_one,
    pairs_per_call,
    thin,
    thin_shapes,
)
from kernels.engine.backend import policy
from kernels.engine.compiled import Compiled
from kernels.engine.group import Group
from kernels.engine.pairs import Pairs
from kernels.engine.passes import pair_pass
from kernels.engine.schedule import PairList, ShouldStop, all_pairs, in_calls, listing
from kernels.engine.shortened import Shortened, enough_positions
from kernels.engine.workspace import Workspace
from kernels.plan.bins import Bins

Matrix = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class AdditivePairs:
    """Two groups of inputs with what the additive evaluation needs of each.

    Attributes:
        parts: the network, cut.
        numbers: its layers' numbers.
        left: the rows.
        right: the columns; the same object for a group against itself, of whose pairs only those
            with i < j are computed.
        workspace: threads.
        should_stop: asked between calls, which then raise Stopped.
    """

    parts: Parts
    numbers: Any
    left: AdditiveGroup
    right: AdditiveGroup
    workspace: Workspace
    should_stop: ShouldStop | None

    @classmethod
    def of(
        cls, parts: Parts, pairs: Pairs, workspace: Workspace, should_stop: ShouldStop | None
    ) -> AdditivePairs:
        """Computes what the workspace does not have of the inputs.

        Args:
            parts: the network, cut.
            pairs: the two groups after their one-input passes.
            workspace: threads; keeps what is computed of a group.
            should_stop: asked between calls.
        """
        numbers = pairs.numbers

        def ahead() -> None:
            compile_ahead(parts, pairs.left, pairs.right, numbers, workspace)

        left = _kept(parts, pairs.left, numbers, workspace, ahead)
        right = left if pairs.symmetric else _kept(parts, pairs.right, numbers, workspace, ahead)
        return cls(parts, numbers, left, right, workspace, should_stop)

    def own(self) -> dict[str, Matrix]:
        """Each input of the left side with itself, exactly: (n,) by name."""
        return self.left.own_kernels(self.parts)

    def cross(self, tolerance: float) -> tuple[dict[str, Matrix], float]:
        """Every row with every column, (n1, n2) by name, and the largest error of those additive.

        Args:
            tolerance: pairs whose error is estimated to be larger are computed exactly.
        """
        tile, errors = self.additive_kernels()
        pairs = self._pairs()
        of_pairs = errors[tuple(pairs.T)]
        good = of_pairs <= tolerance
        self._write_exact(pairs[~good], tile)
        return tile, float(of_pairs[good].max(initial=0.0))

    def additive_kernels(self) -> tuple[dict[str, Matrix], Matrix]:
        """Every row with every column, all additive, (n1, n2) by name, and the error that each pair
        is estimated to have, (n1, n2)."""
        parts, numbers, left, right = self.parts, self.numbers, self.left, self.right
        rows, columns = self._thin()
        effects1 = _called(effects_of_one(parts, left, right, numbers, rows))
        effects2 = _called(effects_of_one(parts, right, left, numbers, columns))
        kernels, errors = _called(both_effects(parts, left, right, numbers, effects1, effects2))
        n, m = left.group.count, right.group.count
        return {name: np.array(k)[:n, :m] for name, k in kernels.items()}, np.asarray(errors)[
            :n, :m
        ]

    def _pairs(self) -> PairList:
        """All, or of a group against itself those with i < j."""
        right_of = 0 if self.right is self.left else None
        return all_pairs(self.left.group.count, self.right.group.count, right_of)

    def _in_calls(
        self, run: Compiled, pairs: PairList, compute: Callable[[PairList], T], most: int
    ) -> Iterator[tuple[PairList, T]]:
        """`in_calls` as this machine makes them."""
        seconds = policy(jax.default_backend()).call_seconds
        return in_calls(run, pairs, compute, most, seconds, self.workspace, self.should_stop)

    def _thin(self) -> list[Matrix]:
        """Thin products, (n, m, kernels, P) of the rows and (m, n, kernels, P') of the columns."""
        parts, numbers, left, right = self.parts, self.numbers, self.left, self.right
        one, two = left.packed.bins, right.packed.bins
        shapes = thin_shapes(parts, left, right)
        total = [np.zeros((one.count, two.count, *shape), left.group.x.dtype) for shape in shapes]
        rows, columns = self._pairs().T
        pairs = np.stack([one.bin[rows], two.bin[columns]], axis=1)
        # What bins b and b' have in common is what b' and b have, transposed.
        pairs = np.unique(np.sort(pairs, axis=1) if right is left else pairs, axis=0)
        most = pairs_per_call(parts, left, right)

        def compute(chunk: PairList) -> list[Matrix]:
            made = _called(thin(parts, left, right, numbers, *listing(chunk, most)))
            return [np.asarray(part)[: len(chunk)] for part in made]

        run, _ = thin(parts, left, right, numbers, None, 0)
        for chunk, made in self._in_calls(run, pairs, compute, most):
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

    def _write_exact(self, pairs: PairList, tile: dict[str, Matrix]) -> None:
        """Writes the exact kernels of the pairs into the tile."""
        one, two, network = self.left.group, self.right.group, self.parts.network
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
                out = run(*sides, self.numbers, *listing(chunk, most))
                at = tuple(chunk.T)
                return {name: np.asarray(kernel)[at] for name, kernel in out.items()}

            for chunk, made in self._in_calls(run, np.array(alike), compute, most):
                for name, matrix in tile.items():
                    matrix[tuple(chunk.T)] = made[name]


def own_kernels(parts: Parts, pairs: Pairs, workspace: Workspace) -> dict[str, Matrix]:
    """`AdditivePairs.own` where no pairs are wanted, whose functions are then not compiled."""
    return _kept(parts, pairs.left, pairs.numbers, workspace).own_kernels(parts)


def _kept(
    parts: Parts,
    group: Group,
    numbers: Any,
    workspace: Workspace,
    ahead: Callable[[], None] = lambda: None,
) -> AdditiveGroup:
    """What the workspace has of a group, or else it is computed, after `ahead`."""

    def made() -> AdditiveGroup:
        ahead()
        return AdditiveGroup.of(parts, group, numbers)

    return workspace.once((parts, group), made, group.rows)


def _called(call: Call) -> Any:
    run, arguments = call
    return run(*arguments)


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
