"""How wide a finite network is, and what its weights are before any is drawn. No JAX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True)
class Normal:
    """An array of weights: independent standard normals.

    Attributes:
        shape: its shape. Those along the first axis are the same however long it is.
        linear: whether the layer uses it once, as a linear map of activations; then it is drawn
            as a `LinearMap` (finite/linear_map.py), and the ntk needs no Jacobian of it.
    """

    shape: tuple[int, ...]
    linear: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True)
class Width:
    """The sizes that go to infinity together.

    Attributes:
        units: channels after every layer with weights.
        heads: heads of every attention layer.
        keys: channels of a head's queries, keys and values (d_k = d_v); None for `units`, so
            that one number says how far the network is from its limit.
    """

    units: int
    heads: int = 1
    keys: int | None = None

    @property
    def head_channels(self) -> int:
        """d_k and d_v."""
        return self.units if self.keys is None else self.keys


def count_of(weights: Any) -> int:
    """Entries of all arrays of a tree of `Normal`."""
    if isinstance(weights, Normal):
        return weights.size
    parts = weights.values() if isinstance(weights, Mapping) else weights
    return sum(map(count_of, parts))
