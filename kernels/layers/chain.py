"""Layers one after the other, as a network has them and each branch of a parallel layer: shapes alone.

Their kernels are engine/chain.py, and what they do at finite width is finite_chain.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from kernels.errors import SpecError
from kernels.layers.layer import Layer
from kernels.spec.signal import Signal


def forward_all(layers: Sequence[Layer], signal: Signal, prefix: str) -> Signal:
    """The signal after a list of layers; errors point at `prefix`/index."""
    for index, layer in enumerate(layers):
        try:
            signal = layer.forward(signal)
        except SpecError as error:
            raise error.under(f"{prefix}/{index}") from None
    return signal


def steps_of(layers: Sequence[Layer], signal: Signal, prefix: str) -> Iterator[tuple[str, Signal]]:
    """The signal after every layer, by the layer's pointer; those inside a layer come before it, and
    a repetition shows its first round. The layers have been through `forward_all`."""
    for index, layer in enumerate(layers):
        place = f"{prefix}/{index}"
        yield from layer.steps_inside(signal, place)
        signal = layer.forward(signal)
        yield place, signal


def expand_all(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers with repetitions written out and lists of one dissolved."""
    return tuple(expanded for layer in layers for expanded in layer.expand())


def structure_of(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers with their numbers taken out, which compiled code depends on; see `Spec.split`.

    The same object for equal layers: what is kept under it is found without comparing specs."""
    return _structure_of(tuple(layers))


@lru_cache(256)
def _structure_of(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return tuple(layer.split()[0] for layer in layers)


def margin_of(layers: Sequence[Layer], above: int = 0) -> int | None:
    """`Layer.margin` of a chain: what it needs below, for what is needed above it."""
    for layer in reversed(layers):
        below = layer.margin(above)
        if below is None:
            return None
        above = below
    return above


def grid_after(layers: Sequence[Layer], grid: tuple[int, ...]) -> tuple[int, ...]:
    """Position sizes after a list of layers."""
    for layer in layers:
        grid = layer.output_grid(grid)
    return grid
