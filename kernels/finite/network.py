"""An architecture at a finite width: its weights, and what it makes of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kernels.architecture import Architecture
from kernels.finite.draw import draw
from kernels.finite.identity import Identities
from kernels.inputs import Inputs
from kernels.layers.chain import structure_of
from kernels.layers.finite_chain import apply_all, channels_after, prepare_all, weights_of
from kernels.layers.layer import Layer
from kernels.spec.model import Numbers
from kernels.spec.width import Width


class Row(NamedTuple):
    """One input, or many with a leading axis on every leaf.

    Attributes:
        x: (*grid, channels), zero at masked positions.
        mask: (*grid) bool, True = real; None if all are.
        identity: (2,) uint32, what the randomness of this input (dropout) is drawn from; see
            identity.py.
    """

    x: Array
    mask: Array | None
    identity: Array

    @classmethod
    def of(cls, inputs: Inputs, identities: Identities) -> Row:
        """All rows of one side, (n, 2) identities."""
        mask = None if inputs.mask is None else jnp.asarray(inputs.mask)
        return cls(jnp.asarray(inputs.x), mask, jnp.asarray(identities))


@dataclass(frozen=True)
class Network:
    """The structure of a finite network; hashable, a compilation key.

    Attributes:
        layers: the canonical layers, numbers taken out.
        channels: channels of an input.
        grid: positions that inputs have at most, along each axis.
        width: how wide the layers are.
    """

    layers: tuple[Layer, ...]
    channels: int
    grid: tuple[int, ...]
    width: Width

    @property
    def output_channels(self) -> int:
        """Channels that come out of the last layer."""
        return channels_after(self.layers, self.channels, self.grid, self.width)

    def draw(self, key: Array) -> tuple[Any, ...]:
        """Weights: a tree of independent standard normal arrays, all that is trained."""
        return draw(weights_of(self.layers, self.channels, self.grid, self.width), key)

    def apply(
        self, weights: tuple[Any, ...], numbers: Sequence[Numbers], row: Row, key: Array
    ) -> Array:
        """The outputs for one input, (output channels,) or (*output grid, output channels).

        Args:
            weights: what `draw` returned.
            numbers: what `finite_network` returned.
            row: one input.
            key: the network's randomness that is not a weight (dropout).
        """
        own = reduce(jax.random.fold_in, row.identity, key)
        return apply_all(self.layers, weights, numbers, row.x, row.mask, own)


def finite_network(
    architecture: Architecture,
    channels: int,
    grid: tuple[int, ...],
    width: Width,
    dtype: str = "float32",
) -> tuple[Network, tuple[Numbers, ...]]:
    """A network and its numbers (w_std and the like), which are arguments of compiled code.

    Args:
        architecture: checked against the inputs.
        channels: channels of an input.
        grid: positions that inputs have at most, along each axis.
        width: how wide the layers are.
        dtype: of the numbers.

    Raises:
        SpecError: branches whose channels do not fit at finite width.
    """
    layers = structure_of(architecture.expanded)
    values = tuple(layer.split()[1] for layer in architecture.expanded)
    network = Network(layers, channels, grid, width)
    _ = network.output_channels
    prepared = prepare_all(layers, values, grid)
    return network, jax.tree.map(lambda value: jnp.asarray(value, dtype), prepared)
