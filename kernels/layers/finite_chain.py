"""Layers one after the other at finite width: their weights, and what they make of one input.

A network's layers, and those of each branch of a parallel layer, are such a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernels.layers.layer import Layer
from kernels.spec.model import Numbers
from kernels.spec.width import Width

if TYPE_CHECKING:
    from jax import Array

    from kernels.finite.linear_map import LinearMap


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


def prepare_all(
    layers: Sequence[Layer], numbers: Sequence[Numbers], grid: tuple[int, ...]
) -> tuple[Numbers, ...]:
    """The layers' numbers, with those that follow from the grid of positions; see `Layer.prepare`."""
    prepared: list[Numbers] = []
    for layer, values in zip(layers, numbers, strict=True):
        prepared.append(layer.prepare(values, grid))
        grid = layer.output_grid(grid)
    return tuple(prepared)


def apply_all(
    layers: Sequence[Layer],
    weights: Sequence[Any],
    numbers: Sequence[Numbers],
    x: Array,
    mask: Array | None,
    key: Array,
) -> Array:
    """What a chain makes of one input.

    Args:
        layers: the chain, numbers taken out.
        weights: the trees of `weights_of`, drawn.
        numbers: what `prepare_all` returned.
        x: (*grid, channels), zero at masked positions.
        mask: (*grid) bool, True = real; None if all are.
        key: randomness that is not a weight, of this input alone (dropout).
    """
    import jax
    import jax.numpy as jnp

    steps = zip(layers, weights, numbers, strict=True)
    for index, (layer, drawn, values) in enumerate(steps):
        grid = x.shape[:-1]
        x = layer.apply(drawn, values, x, mask, jax.random.fold_in(key, index))
        if mask is not None:
            mask = None if layer.removes_positions else _mask_after(layer, mask, grid)
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
    return x


def _mask_after(layer: Layer, mask: Array, grid: tuple[int, ...]) -> Array:
    return layer.output_mask(mask.reshape(-1), grid).reshape(layer.output_grid(grid))


def affine(x: Array, w: LinearMap, b: Array, w_std: Any, b_std: Any) -> Array:
    """A weight layer in the NTK parameterization: w_std / sqrt(c) x W + b_std b.

    Args:
        x: (*grid, c).
        w: of weights (c, units), standard normal.
        b: (units,), standard normal.
        w_std: standard deviation of the weights, before the division by sqrt(c).
        b_std: standard deviation of the biases.
    """
    channels = x.shape[-1]
    y = w("pc,cu->pu", x.reshape(-1, channels)) * (w_std / channels**0.5) + b_std * b[None, :]
    return y.reshape(*x.shape[:-1], -1)
