"""Layers made of layers: parallel branches, and repetition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import add, mul
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from kernels.demand import Demand
from kernels.errors import SpecError
from kernels.layers.chain import expand_all, forward_all, grid_after, margin_of, steps_of
from kernels.layers.layer import Layer
from kernels.spec.model import Count, Numbers, listed
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block
    from kernels.registry import AnyLayer
    from kernels.spec.width import Width

# The registry, which lists these classes too, binds AnyLayer to the union of all layers.


class Repeat(Layer):
    """The same layers several times over, with weights of their own each time."""

    type: Literal["repeat"] = "repeat"
    times: Annotated[Count, Field(le=1024)]
    layers: Annotated[tuple[AnyLayer, ...], listed("a list of layers"), Field(min_length=1)]

    equation: ClassVar[str] = "its layers, `times` times over"
    source: ClassVar[str] = "-"

    def forward(self, signal: Signal) -> Signal:
        for _ in range(self.times):
            signal = forward_all(self.layers, signal, "/layers")
        return signal

    def steps_inside(self, signal: Signal, pointer: str) -> Iterator[tuple[str, Signal]]:
        yield from steps_of(self.layers, signal, f"{pointer}/layers")

    def expand(self) -> tuple[Layer, ...]:
        return expand_all(self.layers) * self.times


class Parallel(Layer):
    """Branches of one input, merged into one signal.

    Kernels of a sum add where branches are uncorrelated: each but one must end in weights of its
    own, followed by linear layers at most. Those of a product multiply where branches are
    independent: in each but one, all that comes in must go through weights, whatever follows.
    Concatenated channels need no such thing, but as their variances differ no activation may follow
    directly.
    """

    type: Literal["parallel"] = "parallel"
    branches: Annotated[
        tuple[Annotated[tuple[AnyLayer, ...], listed("a branch, a list of layers")], ...],
        listed("a list of branches, each a list of layers"),
        Field(min_length=1, max_length=64),
    ]
    merge: Literal["sum", "product", "concat"] = "sum"

    equation: ClassVar[str] = (
        "sum: K' = sum_b K_b, Theta' = sum_b Theta_b; product: K' = prod_b K_b, "
        "Theta' = sum_b Theta_b prod_(c != b) K_c; concat: the means over branches"
    )
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540; Yang, arXiv 1910.12478"

    def forward(self, signal: Signal) -> Signal:
        if len(self.branches) == 1:
            return forward_all(self.branches[0], signal, "/branches/0")
        inside = self._inside(signal)
        outgoing = [
            forward_all(branch, inside, f"/branches/{index}")
            for index, branch in enumerate(self.branches)
        ]
        self._refuse_other_positions(outgoing)
        if self.merge != "concat":
            self._refuse_inseparable(outgoing)
        self._refuse_other_widths(outgoing)
        widths = [branch.channels for branch in outgoing if branch.channels is not None]
        own = [branch.own_weights for branch in outgoing]
        fresh = [branch.fresh_weights for branch in outgoing]
        return outgoing[0].with_(
            channels=sum(widths) if widths else None,
            gaussian=self.merge == "sum" and all(branch.gaussian for branch in outgoing),
            alike=self.merge != "concat" and all(branch.alike for branch in outgoing),
            forks=signal.forks,
            # One factor of zero mean gives a product zero mean; a sum needs it of every branch.
            own_weights=min(max(own) if self.merge == "product" else min(own), signal.forks),
            fresh_weights=min(*fresh, signal.forks),
        )

    def steps_inside(self, signal: Signal, pointer: str) -> Iterator[tuple[str, Signal]]:
        inside = self._inside(signal)
        for index, branch in enumerate(self.branches):
            yield from steps_of(branch, inside, f"{pointer}/branches/{index}")

    def _inside(self, signal: Signal) -> Signal:
        """What goes into each branch. Channels side by side may depend on each other, and one branch
        has no other: that is no fork."""
        forked = self.merge != "concat" and len(self.branches) > 1
        return signal.with_(forks=signal.forks + 1) if forked else signal

    def _refuse_other_positions(self, outgoing: Sequence[Signal]) -> None:
        first = outgoing[0]
        for index, branch in enumerate(outgoing[1:], start=1):
            if branch.grid != first.grid or branch.masked != first.masked:
                raise SpecError(
                    f"the branches must end with the same positions: branch 0 ends with "
                    f"{list(first.grid)}, branch {index} with {list(branch.grid)}",
                    f"/branches/{index}",
                )

    def _refuse_inseparable(self, outgoing: Sequence[Signal]) -> None:
        """Raises unless the kernels of a sum add, or those of a product multiply."""
        if self.merge == "sum":
            self._refuse_two(
                [branch.own_weights < branch.forks for branch in outgoing],
                "must end in a dense, conv or attention layer (pooling, dropout or layer_norm may "
                "follow)",
                "they are correlated, and their kernels do not add",
            )
        else:
            self._refuse_two(
                [branch.fresh_weights < branch.forks for branch in outgoing],
                "must send all that comes in through a dense, conv or attention layer",
                "they depend on each other, and their kernels do not multiply",
            )
            self._refuse_two(
                [not branch.alike for branch in outgoing],
                "must have channels that are alike (flatten and concat make unlike ones)",
                "a mean over channels of products is not the product of their means",
            )

    def _refuse_two(self, lacking: Sequence[bool], must: str, why: str) -> None:
        found = [index for index, lacks in enumerate(lacking) if lacks]
        if len(found) > 1:
            raise SpecError(
                f"all branches of a {self.merge} but one {must}, and branches {found[0]} and "
                f"{found[1]} do not: {why}; put a dense layer at the end of one",
                f"/branches/{found[1]}",
            )

    def _refuse_other_widths(self, outgoing: Sequence[Signal]) -> None:
        widths = [branch.channels for branch in outgoing]
        if None in widths and any(width is not None for width in widths):
            index = next(i for i, width in enumerate(widths) if width is not None)
            raise SpecError(
                f"branch {index} hands on the {widths[index]} channels of the raw input, which "
                f"cannot be merged with branches of infinite width; put a dense or conv layer first",
                f"/branches/{index}",
            )

    def expand(self) -> tuple[Layer, ...]:
        branches = tuple(expand_all(branch) for branch in self.branches)
        if len(branches) == 1:
            return branches[0]
        return (self.model_copy(update={"branches": branches}),)

    def split(self) -> tuple[Self, Numbers]:
        pairs = [[layer.split() for layer in branch] for branch in self.branches]
        structure = type(self).model_construct(
            type=self.type,
            branches=tuple(tuple(part for part, _ in branch) for branch in pairs),
            merge=self.merge,
        )
        numbers: dict[str, Any] = {
            "branches": tuple(tuple(values for _, values in branch) for branch in pairs)
        }
        return structure, numbers

    def branches_of(self) -> tuple[tuple[Layer, ...], ...]:
        return self.branches

    @property
    def removes_positions(self) -> bool:
        return any(layer.removes_positions for layer in self.branches[0])

    def demand(self, wanted: Demand) -> Demand:
        return Demand.NOTHING  # its branches say

    @property
    def pointwise(self) -> bool:
        return all(layer.pointwise for branch in self.branches for layer in branch)

    @property
    def reach(self) -> int | None:
        layers = [layer.reach for branch in self.branches for layer in branch]
        return None if None in layers else sum(each for each in layers if each is not None)

    def margin(self, above: int) -> int | None:
        needed = [margin_of(branch, above) for branch in self.branches]
        return None if None in needed else max(each for each in needed if each is not None)

    def output_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        return grid_after(self.branches[0], grid)

    def output_mask(self, mask: Array, grid: tuple[int, ...]) -> Array:
        """A position is real where it is real in every branch."""
        merged: Array | None = None
        for branch in self.branches:
            above, sizes = mask, grid
            for layer in branch:
                above, sizes = layer.output_mask(above, sizes), layer.output_grid(sizes)
            merged = above if merged is None else merged & above
        assert merged is not None
        return merged

    def merged(self, blocks: Sequence[Block]) -> Block:
        """The kernels of the merged signal."""
        kernels = [block.nngp for block in blocks]
        tangents = [block.ntk for block in blocks if block.ntk is not None]
        if self.merge == "product":
            nngp = reduce(mul, kernels)
            others = [kernels[:i] + kernels[i + 1 :] for i in range(len(kernels))]
            tangents = [
                reduce(mul, rest, theta) for theta, rest in zip(tangents, others, strict=False)
            ]
        else:
            nngp = reduce(add, kernels)
        ntk = reduce(add, tangents) if tangents else None
        merged = blocks[0]._replace(nngp=nngp, ntk=ntk)
        return merged.map(lambda k: k / len(blocks)) if self.merge == "concat" else merged

    def within_tolerance(self) -> Self:
        branches = tuple(
            tuple(layer.within_tolerance() for layer in branch) for branch in self.branches
        )
        return self.model_copy(update={"branches": branches})

    def prepare(self, numbers: Numbers, grid: tuple[int, ...]) -> Numbers:
        from kernels.layers.finite_chain import prepare_all

        pairs = zip(self.branches, numbers["branches"], strict=True)
        return {"branches": tuple(prepare_all(branch, own, grid) for branch, own in pairs)}

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        from kernels.layers.finite_chain import channels_after

        inner = self._inner_width(channels, grid, width)
        counts = [channels_after(branch, channels, grid, inner) for branch in self.branches]
        if self.merge == "concat":
            return sum(counts)
        if len(set(counts)) > 1:
            raise SpecError(
                f"at finite width the branches end with {counts} channels and cannot be merged; "
                f"put a dense layer after the one that concatenates"
            )
        return counts[0]

    def _inner_width(self, channels: int, grid: tuple[int, ...], width: Width) -> Width:
        """Branches that are merged with one whose channels are those it was given take these."""
        from kernels.layers.finite_chain import channels_after

        if self.merge == "concat":
            return width
        wider = replace(width, units=width.units + 1)
        for branch in self.branches:
            count = channels_after(branch, channels, grid, width)
            if count == channels_after(branch, channels, grid, wider):
                return replace(width, units=count)
        return width

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Any:
        from kernels.layers.finite_chain import weights_of

        inner = self._inner_width(channels, grid, width)
        return tuple(weights_of(branch, channels, grid, inner) for branch in self.branches)

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        import jax.numpy as jnp
        from jax import random

        from kernels.layers.finite_chain import apply_all

        outputs = [
            apply_all(branch, drawn, values, x, mask, random.fold_in(key, index))
            for index, (branch, drawn, values) in enumerate(
                zip(self.branches, weights, numbers["branches"], strict=True)
            )
        ]
        if self.merge == "concat":
            # Branches of any number of channels weigh the same, as in the limit.
            share = sum(output.shape[-1] for output in outputs) / len(outputs)
            scaled = [output * (share / output.shape[-1]) ** 0.5 for output in outputs]
            return jnp.concatenate(scaled, axis=-1)
        return reduce(mul if self.merge == "product" else add, outputs)
