"""The weights that layers have at finite width, before any is drawn. No JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernels.finite.width import Normal, Width

if TYPE_CHECKING:
    from kernels.layers.attention import Attention
    from kernels.layers.layer import Layer


def weights_of(
    layers: Sequence[Layer], channels: int, grid: tuple[int, ...], width: Width
) -> tuple[Any, ...]:
    """One tree of `Normal` for each layer.

    Args:
        layers: a chain, numbers taken out.
        channels: channels of what comes in.
        grid: positions of what comes in.
        width: how wide the layers are.
    """
    weights: list[Any] = []
    for layer in layers:
        weights.append(layer.weights(channels, grid, width))
        channels = layer.output_channels(channels, grid, width)
        grid = layer.output_grid(grid)
    return tuple(weights)


def channels_after(
    layers: Sequence[Layer], channels: int, grid: tuple[int, ...], width: Width
) -> int:
    """Channels of what comes out of a chain."""
    for layer in layers:
        channels = layer.output_channels(channels, grid, width)
        grid = layer.output_grid(grid)
    return channels


def weights_of_heads(
    layer: Attention, channels: int, grid: tuple[int, ...], width: Width
) -> dict[str, Normal]:
    """Weights by name, the heads along the first axis; see `Layer.weights`."""
    heads, size = width.heads, width.head_channels
    units = layer.output_channels(channels, grid, width)
    weights: dict[str, Normal] = {}
    logit_channels = value_channels = channels
    if layer.positional is not None:
        positions = layer.positional.weights(channels, grid, width)
        weights["positions"] = positions
        concatenated = channels if layer.positional.merge == "concat" else 0
        logit_channels = positions.shape[1] + concatenated
        value_channels = logit_channels if layer.positional.in_values else channels
    weights["q"] = Normal((heads, logit_channels, size), linear=True)
    if layer.scaling == "sqrt":
        weights["k"] = Normal((heads, logit_channels, size), linear=True)
    weights["v"] = Normal((heads, value_channels, size), linear=True)
    weights["o"] = Normal((heads, size, units), linear=True)
    weights["b"] = Normal((units,))
    return weights


def count_of(weights: Any) -> int:
    """Entries of all arrays of a tree of `Normal`."""
    if isinstance(weights, Normal):
        return weights.size
    parts = weights.values() if isinstance(weights, Mapping) else weights
    return sum(map(count_of, parts))
