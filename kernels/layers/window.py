"""Sliding windows over position axes: the arithmetic that conv and pools share.

Conventions (tests/data/golden/README.md): "same" and "circular" give ceil(n / stride) positions with a
total padding of max((out - 1) stride + window - n, 0), of which the low side gets the floor of
half; "valid" pads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product
from math import prod
from operator import add
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from kernels.errors import SpecError
from kernels.layers.fusion import materialised
from kernels.layers.layer import Layer
from kernels.spec.model import Count, listed
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

Padding = Literal["same", "valid", "circular"]

_AT_ONCE: Final = 25
"""Offsets of a window that are added in one pass over a block."""

Sizes = Annotated[
    tuple[Count, ...],
    listed("a list of integers, one a position axis, such as [3]"),
    Field(min_length=1, max_length=3),
]
"""One positive size for each position axis."""


def padding_of(n: int, window: int, stride: int, padding: Padding) -> tuple[int, int]:
    """How many positions are added below and above an axis of n."""
    if padding == "valid":
        return 0, 0
    out = -(-n // stride)
    total = max((out - 1) * stride + window - n, 0)
    return total // 2, total - total // 2


def window_count(n: int, window: int, stride: int, padding: Padding) -> int:
    """Number of windows on an axis of n positions."""
    if padding == "valid":
        return (n - window) // stride + 1
    return -(-n // stride)


class Slide(NamedTuple):
    """How a window slides.

    Attributes:
        axes: the axes that it slides along jointly, so that offset d means p + d on each of them.
        window: positions that it covers.
        stride: step from a window to the next.
    """

    axes: tuple[int, ...]
    window: int
    stride: int


def window_sum(x: Array, slides: Sequence[Slide], padding: Padding) -> Array:
    """Sums over all windows.

    Args:
        x: any array.
        slides: the windows, none of which shares an axis with another.
        padding: see the module.

    Returns:
        an array in which each axis of a slide has `window_count` entries.
    """
    left = list(slides)
    while left:
        # To sum along one axis after the other adds fewer numbers, but each time goes through the
        # block twice, to pad and to add: 3 x 3 at once takes half the time, 7 x 7 longer.
        together, *left = left
        group = [together]
        while left and prod(slide.window for slide in [*group, left[0]]) <= _AT_ONCE:
            group.append(left.pop(0))
        x = _sum_at_once(x, group, padding)
    return x


def _sum_at_once(x: Array, slides: Sequence[Slide], padding: Padding) -> Array:
    import jax.numpy as jnp
    from jax import lax

    pads, counts = [(0, 0)] * x.ndim, dict[int, int]()
    for axes, window, stride in slides:
        for axis in axes:
            n = x.shape[axis]
            counts[axis] = window_count(n, window, stride, padding)
            pads[axis] = padding_of(n, window, stride, padding)

    def total() -> Array:
        padded = x
        if any(low or high for low, high in pads):
            padded = jnp.pad(x, pads, mode=_PAD_MODES[padding])

        def shifted(offsets: tuple[int, ...]) -> Array:
            term = padded
            for (axes, _, stride), offset in zip(slides, offsets, strict=True):
                for axis in axes:
                    end = offset + (counts[axis] - 1) * stride + 1
                    term = lax.slice_in_dim(term, offset, end, stride, axis)
            return term

        return reduce(add, map(shifted, product(*(range(slide.window) for slide in slides))))

    # Padded inside: what is below is then computed for its own positions, and once.
    return total() if all(slide.window == 1 for slide in slides) else materialised(total)


def window_entries(
    x: Array, window: tuple[int, ...], strides: tuple[int, ...], padding: Padding
) -> Array:
    """All entries of each window side by side.

    Args:
        x: (*grid, channels).
        window: positions a window covers along each axis of the grid.
        strides: steps from a window to the next.
        padding: see the module.

    Returns:
        (*output grid, prod(window) * channels), offsets in row-major order.
    """
    import jax.numpy as jnp
    from jax import lax

    sizes = list(zip(x.shape[:-1], window, strides, strict=True))
    counts = [window_count(n, size, step, padding) for n, size, step in sizes]
    pads = [padding_of(n, size, step, padding) for n, size, step in sizes]
    x = jnp.pad(x, [*pads, (0, 0)], mode=_PAD_MODES[padding])

    def shifted(offsets: tuple[int, ...]) -> Array:
        ends = [o + (n - 1) * s + 1 for o, n, s in zip(offsets, counts, strides, strict=True)]
        return lax.slice(x, [*offsets, 0], [*ends, x.shape[-1]], [*strides, 1])

    return jnp.concatenate([shifted(offsets) for offsets in product(*map(range, window))], axis=-1)


_PAD_MODES = {"same": "constant", "circular": "wrap", "valid": "constant"}


class Windowed(Layer):
    """A layer whose output positions are windows of its input positions."""

    window: Sizes
    strides: Sizes | None = None
    padding: Padding

    @model_validator(mode="after")
    def _fill_strides(self) -> Self:
        if self.strides is None:
            object.__setattr__(self, "strides", (1,) * len(self.window))
        return self

    def forward(self, signal: Signal) -> Signal:
        rank = len(signal.grid)
        if len(self.window) != rank:
            raise SpecError(
                f"a window of {len(self.window)} axes does not fit an input with {rank} position "
                f"axes; give one size for each position axis",
                "/window",
            )
        if len(self.steps) != rank:
            raise SpecError(
                f"expected {rank} strides, one for each position axis, got {len(self.steps)}",
                "/strides",
            )
        # Zero padding lets a window reach past the input as long as every offset meets some of it.
        reach = 2 if self.padding == "same" else 1
        for size, window in zip(signal.grid, self.window, strict=True):
            if window > reach * size - (reach - 1):
                raise SpecError(
                    f"the window {list(self.window)} is too large for the {list(signal.grid)} "
                    f"positions it slides over with padding '{self.padding}'",
                    "/window",
                )
        return signal.with_(grid=self.output_grid(signal.grid))

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides, one for each axis."""
        assert self.strides is not None
        return self.strides

    @property
    def trims(self) -> bool:
        # Strided "same" and circular windows are aligned to, or wrap at, the caller's last
        # position; a "same" window of stride 1 sees the zeros it would see anyway.
        return self.padding == "same" and all(step == 1 for step in self.steps)

    def margin(self, above: int) -> int | None:
        if self.padding == "valid":
            # A window counts while its centre is real, and needs all its positions.
            return above * max(self.steps) + max(self.window) - 1
        return super().margin(above)

    @property
    def reach(self) -> int | None:
        if self.padding == "circular" or any(step > 1 for step in self.steps):
            return None
        return max(self.window) - 1

    def output_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            window_count(n, window, step, self.padding)
            for n, window, step in zip(grid, self.window, self.steps, strict=True)
        )

    def output_mask(self, mask: Array, grid: tuple[int, ...]) -> Array:
        """An unchanged mask where the length is kept, else the mask of each window's centre."""
        import jax.numpy as jnp
        from jax import lax

        if self.output_grid(grid) == grid:
            return mask
        mask = mask.reshape(grid)
        for axis, (n, window, step) in enumerate(zip(grid, self.window, self.steps, strict=True)):
            pads = [(0, 0)] * mask.ndim
            pads[axis] = padding_of(n, window, step, self.padding)
            count = window_count(n, window, step, self.padding)
            centre = (window - 1) // 2
            mask = jnp.pad(mask, pads, mode=_PAD_MODES[self.padding])
            mask = lax.slice_in_dim(mask, centre, centre + (count - 1) * step + 1, step, axis)
        return mask.reshape(-1)
