"""The propagated state, and the place where a layer meets it.

The state holds arrays only; static facts stay in the specs and in `Site`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from kernels.demand import Demand


class Block(NamedTuple):
    """Cross kernels of one pair of inputs.

    Attributes:
        nngp: K(x, x'), (P, P'), (P,) or () by what is wanted of it (see `Demand`).
        ntk: Theta(x, x') of the same shape, or the scalar 0 below the first layer with weights;
            None when only the nngp is wanted.
    """

    nngp: Array
    ntk: Array | None

    @classmethod
    def of_inputs(cls, k: Array, ntk: bool) -> Block:
        """Raw inputs, which no weight has reached yet."""
        return cls(k, jnp.zeros((), k.dtype) if ntk else None)

    def named(self) -> dict[str, Array]:
        """The kernels that are there, by name, all of one shape."""
        both = {"nngp": self.nngp, "ntk": self.ntk}
        return {
            name: jnp.broadcast_to(kernel, self.nngp.shape)
            for name, kernel in both.items()
            if kernel is not None
        }

    def map(self, function: Callable[[Array], Array]) -> Block:
        """Both kernels after a linear function; a tangent kernel that is zero stays the scalar 0."""
        nngp = function(self.nngp)
        if self.ntk is None or self.ntk.ndim < self.nngp.ndim:
            return Block(nngp, self.ntk)
        return Block(nngp, function(self.ntk))

    def plus(self, constant: Any) -> Block:
        """Both kernels with a constant added to every entry, also to a tangent kernel that is zero."""
        return Block(self.nngp + constant, None if self.ntk is None else self.ntk + constant)

    def filled(self) -> Block:
        """The block with a tangent kernel of the nngp's shape, also where it was the scalar 0."""
        kernels = self.named()
        return Block(kernels["nngp"], kernels.get("ntk"))


@dataclass(frozen=True)
class Side:
    """One input at one layer.

    Attributes:
        grid: its position sizes below the layer.
        mask: its real positions below the layer, (P,) bool, or None if all are.
        seen: what the layer observed of it, or None.
        weights: its readout weights above the layer, (P,), where a READOUT is wanted there.
    """

    grid: tuple[int, ...]
    mask: Array | None
    seen: Any
    weights: Array | None

    @property
    def size(self) -> int:
        """Number of positions below the layer."""
        return prod(self.grid)


@dataclass(frozen=True)
class Site:
    """Where a layer's rule is applied.

    Attributes:
        left: the side of x (rows).
        right: the side of x' (columns).
        wanted_in: what the incoming block is; never NOTHING.
        wanted_out: what is wanted of the result.
        numbers: the layer's numbers, as scalars of the job's dtype.
        identical: x and x' are one and the same input, so that position p meets itself.
        included: of a network that is estimated, which groups of heads its means are over in this
            replicate, (groups,) bool.
    """

    left: Side
    right: Side
    wanted_in: Demand
    wanted_out: Demand
    numbers: Mapping[str, Any]
    identical: bool
    included: Array | None = None

    def outer(self, left: Array, right: Array) -> Array:
        """Per-position values of both sides as one factor of the block: x_p x'_q, or x_p x'_p."""
        if self.wanted_in is Demand.FULL:
            return left[:, None] * right[None, :]
        return left * right

    def broadcast(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Per-position values of both sides, each broadcastable against the block."""
        if self.wanted_in is Demand.FULL:
            return left[:, None], right[None, :]
        return left, right

    def variance(self, cov: Array) -> Array:
        """The variances of one input's positions, (P,) or (), from its own covariance."""
        # A variance of zero may round below it, where a pool adds up what cancels. NaN stays, and what
        # overflowed becomes it: a correlation with an infinite variance would be 0, and look sound.
        variance = jnp.maximum(jnp.diagonal(cov) if self.wanted_in is Demand.FULL else cov, 0)
        return jnp.where(variance < jnp.inf, variance, jnp.nan)

    def masked(self, k: Array) -> Array:
        """A full block with zeros wherever either position is masked."""
        return masked(k, self.left.mask, self.right.mask)

    def coincide(self) -> Array | bool:
        """Where a position meets itself, so that its correlation is exactly one."""
        if not self.identical:
            return False
        if self.wanted_in is Demand.FULL:
            return jnp.eye(self.left.size, dtype=bool)
        return True

    def constant(self, value: Any) -> Any:
        """What adding `value` to every pair of positions adds to the block, which may be a readout."""
        if self.wanted_in is Demand.READOUT:
            assert self.left.weights is not None and self.right.weights is not None
            return value * self.left.weights.sum() * self.right.weights.sum()
        return value


def masked(k: Array, mask1: Array | None, mask2: Array | None) -> Array:
    """A block, (P, P'), (P,) or (), with zeros wherever either position is masked."""
    if k.ndim == 2:
        mask1 = None if mask1 is None else mask1[:, None]
        mask2 = None if mask2 is None else mask2[None, :]
    for mask in (mask1, mask2):
        k = k if mask is None or k.ndim == 0 else jnp.where(mask, k, 0)
    return k
