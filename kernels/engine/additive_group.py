"""A group of inputs as the additive evaluation needs it, and the compiled calls between two."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from kernels.engine.additive import Averages, Parts, averages_pass
from kernels.engine.combined import combined
from kernels.engine.compiled import Compiled
from kernels.engine.effects import main_effects, thin_products
from kernels.engine.group import Group
from kernels.engine.kept import Chain
from kernels.engine.packed import Packed, packed, packed_shapes
from kernels.engine.schedule import all_pairs, listing
from kernels.engine.workspace import Workspace

Matrix = npt.NDArray[Any]
Call = tuple[Compiled, tuple[Any, ...]]
"""A compiled function and its arguments, or arguments with shapes in place of arrays."""

_ENTRIES_PER_CALL = 2**19
"""Entries of the thin products that one call returns at most; its buffers are cleared each time."""


@dataclass(frozen=True)
class AdditiveGroup:
    """A group with what the additive evaluation needs of each of its inputs.

    Attributes:
        group: the inputs and their exact one-input pass.
        averages: see `Averages`.
        packed: the inputs side by side.
    """

    group: Group
    averages: Averages
    packed: Packed

    @property
    def nbytes(self) -> int:
        """Bytes on the device, the group's own not counted."""
        leaves = jax.tree.leaves(self.averages)
        return self.packed.nbytes + sum(leaf.nbytes for leaf in leaves)

    @classmethod
    def of(cls, parts: Parts, group: Group, numbers: Any) -> AdditiveGroup:
        """Runs the one-input parts of the additive evaluation."""
        run, arguments = _averages(parts, group, numbers)
        averages = run(*arguments)
        return cls(group, averages, packed(parts, group, averages))

    def own_kernels(self, parts: Parts) -> dict[str, Matrix]:
        """Each input with itself, exactly: (n,) by name."""
        own = np.asarray(self.averages.own)[: self.group.count]
        return dict(zip(parts.network.kernels, own.T, strict=True))

    def above(self, parts: Parts) -> Chain:
        """What the layers above the pool observed."""
        chain = self.group.chain
        return chain._replace(mask=None, steps=chain.steps[parts.span.pool + 1 :])


def thin_shapes(
    parts: Parts, one: AdditiveGroup, two: AdditiveGroup
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the thin products of one pair of bins are: (kernels, P, S') and (kernels, S, P')."""
    kinds = len(parts.network.kernels)
    (_, rows, slots), (_, columns, others) = one.packed.through.shape, two.packed.through.shape
    return (kinds, rows, others), (kinds, slots, columns)


def pairs_per_call(parts: Parts, one: AdditiveGroup, two: AdditiveGroup) -> int:
    """Pairs of bins that one call of `thin` takes at most."""
    return max(1, _ENTRIES_PER_CALL // max(map(prod, thin_shapes(parts, one, two))))


def thin(
    parts: Parts, one: AdditiveGroup, two: AdditiveGroup, numbers: Any, listed: Any, count: Any
) -> Call:
    """The thin products of listed pairs of bins."""
    sides = [(side.packed.x, side.packed.chain, side.packed.through) for side in (one, two)]
    run = thin_products(parts, one.packed.grid, two.packed.grid)
    return run, (*sides[0], *sides[1], numbers, listed, count)


def effects_of_one(
    parts: Parts, one: AdditiveGroup, two: AdditiveGroup, numbers: Any, products: Any
) -> Call:
    """The main effects of the inputs of one group against those of another."""
    group, averages = one.group, one.averages
    others = two.averages.hats, two.averages.variance
    run = main_effects(parts, group.grid)
    return run, (group.chain, averages, products, *others, numbers, group.count)


def both_effects(
    parts: Parts, one: AdditiveGroup, two: AdditiveGroup, numbers: Any, effects1: Any, effects2: Any
) -> Call:
    """The kernels of two groups and their estimated errors."""
    facts = one.averages, two.averages, one.above(parts), two.above(parts)
    return combined(parts), (*facts, effects1, effects2, numbers, one.group.count)


def compile_ahead(
    parts: Parts, left: Group, right: Group, numbers: Any, workspace: Workspace
) -> None:
    """Compiles what two groups need, on free threads too, each what nobody else is compiling. Only
    ever for the first tile of a network."""
    averages = _averages(parts, left, numbers)
    if averages[0].called:
        return
    one = _shapes(parts, left, numbers)
    two = one if right is left else _shapes(parts, right, numbers)
    dtype = one.averages.u.dtype
    kinds = len(parts.network.kernels)

    def shape(*axes: int) -> Any:
        return jax.ShapeDtypeStruct(axes, dtype)

    n, m = len(left.x), len(right.x)
    none = listing(all_pairs(0, 0), pairs_per_call(parts, one, two))
    products = thin(parts, one, two, numbers, *none)
    first = effects_of_one(parts, one, two, numbers, shape(n, m, kinds, one.averages.u.shape[1]))
    second = effects_of_one(parts, two, one, numbers, shape(m, n, kinds, two.averages.u.shape[1]))
    effects = [run.like(*arguments) for run, arguments in (first, second)]
    both = both_effects(parts, one, two, numbers, *effects)
    x64 = jax.config.read("jax_enable_x64")

    def compiled() -> None:
        with jax.enable_x64(x64):
            for run, arguments in (averages, products, both, first, second):
                run.ahead(*arguments)

    for _ in range(workspace.threads - 1):
        workspace.aside(compiled)
    compiled()


def _averages(parts: Parts, group: Group, numbers: Any) -> Call:
    one = group.x, group.chain
    return averages_pass(parts, group.grid), (*one, *one, numbers, group.count)


def _shapes(parts: Parts, group: Group, numbers: Any) -> AdditiveGroup:
    """A group before its averages are computed, with shapes in their place."""
    run, arguments = _averages(parts, group, numbers)
    averages = run.like(*arguments)
    return AdditiveGroup(group, averages, packed_shapes(parts, group, averages))
