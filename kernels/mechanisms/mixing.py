"""The mixing matrix A(x) of one input, dense or in factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kernels.mechanisms.flat import FEWEST, Flat, congruences_if_flat
from kernels.processor import multiplies_bfloat16

if TYPE_CHECKING:
    from jax import Array


class Mixing(NamedTuple):
    """A = write read: what every query gathers from the keys.

    A mechanism of low rank m keeps its two thin factors, and A K A'^T then costs O(T^2 m); any
    other keeps A itself as `read`.

    Attributes:
        read: (m, P), from the keys.
        write: (P, m), to the queries; None for the identity, where m is P.
        error: (), how large sums over a row of |A - A_exact| are at most (two rows of different
            weights that sum to 1 are at most 2 apart); None where A is exact.
        within: (), whether the caller tolerates that error; None where no tolerance was said.
        flat: what saves time where all rows are nearly the same; None where nobody asked for it.
    """

    read: Array
    write: Array | None = None
    error: Array | None = None
    within: Array | None = None
    flat: Flat | None = None

    def dense(self) -> Array:
        """A itself, (P, P)."""
        from jax.numpy import matmul

        return self.read if self.write is None else matmul(self.write, self.read)

    def rows(self, k: Array) -> Array:
        """A k, (P, ...), from (P, ...)."""
        from jax.numpy import matmul

        gathered = matmul(self.read, k)
        return gathered if self.write is None else matmul(self.write, gathered)

    def adjoint(self, weights: Array) -> Array:
        """A^T u, (P,), from the readout weights u, (P,)."""
        from jax.numpy import matmul

        return matmul(weights if self.write is None else matmul(weights, self.write), self.read)

    def of_queries(self, real: Array) -> Mixing:
        """A(x) with the rows of masked queries zero; `real` is (P,) bool."""
        from jax.numpy import where

        if self.write is None:
            return self._replace(read=where(real[:, None], self.read, 0))
        return self._replace(write=where(real[:, None], self.write, 0))

    def with_flat(self, k: Array) -> Mixing:
        """With what pairs of inputs need to look for flat attention, where that saves time; `k` is K(x, x),
        (P, P)."""
        large = len(self.read) >= FEWEST and self.write is None and self.read.dtype == "float32"
        if not large or not multiplies_bfloat16():
            return self
        return self._replace(flat=Flat.of(self.read, k))


def cheaper_in_factors(size: int, columns: int) -> bool:
    """Whether A K A'^T takes fewer operations with two factors (P, m), 4 P m (P + m), than with A
    itself, 4 P^3; `size` is P and `columns` m."""
    return columns * (size + columns) < size**2


def of_factors(write: Array, read: Array, exact: Array, visible: Array | None) -> Mixing:
    """The mixing matrix `write` `read`, thin where that makes pairs cheaper, with its error.

    Args:
        write: (P, m).
        read: (m, P).
        exact: what it approximates, (P, P).
        visible: as in `deviation`.
    """
    from jax.numpy import matmul

    weights = matmul(write, read)
    error = deviation(weights, exact, visible)
    if cheaper_in_factors(*write.shape):
        return Mixing(read, write, error)
    return Mixing(weights, error=error)


def deviation(weights: Array, exact: Array, visible: Array | None) -> Array:
    """The largest sum over a row of |A - A_exact|, ().

    Measured, not bounded: at O(T^2 m) once per input it costs less than one pair of inputs, and
    the bounds that save it are many times too large (docs/performance.md).

    Args:
        weights: A, (P, P).
        exact: (P, P).
        visible: which key each query sees, (P, P) bool, or None; a query that does not see itself
            is masked, and its row does not count.
    """
    import jax.numpy as jnp

    rows = jnp.abs(weights - exact).sum(1)
    return (rows if visible is None else jnp.where(jnp.diagonal(visible), rows, 0)).max()


def congruences(
    left: Mixing, kernels: Sequence[Array], right: Mixing, identical: bool
) -> tuple[Array, ...]:
    """A(x) k A(x')^T, (P, P'), of each k, (P, P'): of two in products twice as wide, which run faster.

    Args:
        left: A(x).
        kernels: one or two; the first has the scale of K.
        right: A(x').
        identical: x' is x.
    """
    import jax.numpy as jnp

    size, other, count = *kernels[0].shape, len(kernels)
    wide = jnp.concatenate(kernels, axis=1)

    def in_full() -> Array:
        # Row by row, of one and then of two: as they lie in memory, nothing is copied.
        tall = jnp.matmul(jnp.matmul(left.read, wide).reshape(-1, other), right.read.T)
        return tall.reshape(len(left.read), count, -1)

    if left.flat is None or right.flat is None or identical:
        gathered = in_full()
    else:
        sides, facts = (left.read, right.read), (left.flat, right.flat)
        gathered = congruences_if_flat(sides, facts, wide.reshape(size, count, other), in_full)
    return tuple(_written(left, gathered[:, place], right) for place in range(count))


def congruence_diagonal(left: Mixing, k: Array, right: Mixing) -> Array:
    """The diagonal of A(x) k A(x')^T, (P,)."""
    import jax.numpy as jnp

    if right.write is None:
        return (left.rows(k) * right.read).sum(1)
    gathered = _gathered(left, k, right)
    written = gathered if left.write is None else jnp.matmul(left.write, gathered)
    return (written * right.write).sum(1)


def _gathered(left: Mixing, k: Array, right: Mixing) -> Array:
    from jax.numpy import matmul

    return matmul(matmul(left.read, k), right.read.T)


def _written(left: Mixing, gathered: Array, right: Mixing) -> Array:
    from jax.numpy import matmul

    rows = gathered if left.write is None else matmul(left.write, gathered)
    return rows if right.write is None else matmul(rows, right.write.T)
