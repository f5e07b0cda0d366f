"""An invertible residual block around any function of known Lipschitz constant.

g(x) = x + c f(x) / L, where |f(x) - f(x')| <= L |x - x'| and 0 < c < 1, so that what is added is a
contraction: g is invertible, and y - c f(x) / L, iterated, finds the x with g(x) = y (Banach).
Behrmann et al., "Invertible Residual Networks", arXiv 1811.00995; with L2 attention for f, Kim,
Papamakarios & Mnih, arXiv 2006.04710, section 5.2.

    |x_n - x| <= c^n / (1 - c) |x_1 - x_0|          how far n iterations are at most
    |x_n - x| <= |y - g(x_n)| / (1 - c)             how far these n are at most: `Inverse.error`

both in the norm of L.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.errors import NumericsError

Function = Callable[[Array], Array]


class Inverse(NamedTuple):
    """What the iteration came to.

    Attributes:
        x: the last iterate.
        residual: |y - g(x)|, Euclidean, of all entries together.
        error: a bound on the distance from the inverse, residual / (1 - c), up to rounding; it holds
            if the block is a contraction in the 2-norm.
        iterations: how many were done.
        converged: whether the residual came under the tolerance.
    """

    x: Array
    residual: Array
    error: Array
    iterations: Array
    converged: Array


@dataclass(frozen=True)
class ResidualBlock:
    """g(x) = x + c f(x) / L.

    Attributes:
        function: f, from arrays to arrays of the same shape.
        lipschitz: L, a bound in the 2-norm; for L2 attention `lipschitz_bounds(...).two` of the
            length at hand.
        contraction: c, above 0. Below 1 the inverse exists and is found; from 1 on neither is
            promised, which `invert` says only by not converging.
    """

    function: Function
    lipschitz: float
    contraction: float = 0.9

    def __post_init__(self) -> None:
        for name, value in (("lipschitz", self.lipschitz), ("contraction", self.contraction)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: expected a finite number above 0, got {value}")

    def added(self, x: Array) -> Array:
        """c f(x) / L."""
        return self.function(x) * (self.contraction / self.lipschitz)

    def apply(self, x: Array) -> Array:
        """g(x)."""
        return x + self.added(x)

    def invert(self, y: Array, tolerance: float = 1e-6, most: int = 1000) -> Inverse:
        """The x with g(x) = y, by fixed-point iteration from y; may be compiled and differentiated
        forwards.

        Args:
            y: of the shape of x.
            tolerance: of the residual, relative to |y|. Below a few roundings it is not reached.
            most: iterations after which to give up; `converged` is then False.
        """
        enough = tolerance * jnp.linalg.norm(y.reshape(-1))

        def residual(x: Array, added: Array) -> Array:
            return jnp.linalg.norm((y - x - added).reshape(-1))

        def unfinished(state: tuple[Array, Array, Array]) -> Array:
            x, added, done = state
            # Not >: a residual that is not a number must not pass for a small one.
            return ~(residual(x, added) <= enough) & (done < most)

        def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            _, added, done = state
            x = y - added
            return x, self.added(x), done + 1

        start = (y, self.added(y), jnp.zeros((), jnp.int32))
        x, added, done = lax.while_loop(unfinished, iterate, start)
        left = residual(x, added)
        slack = 1 - self.contraction
        error = left / slack if slack > 0 else jnp.full_like(left, jnp.inf)
        return Inverse(x, left, error, done, left <= enough)

    def inverse(self, y: Array, tolerance: float = 1e-6, most: int = 1000) -> Array:
        """`invert`'s x, for callers outside compiled code.

        Raises:
            NumericsError: it did not converge; says what residual was left, and why that may be.
        """
        found = jax.jit(lambda y: self.invert(y, tolerance, most))(y)
        if not bool(found.converged):
            why = (
                "raise the tolerance above rounding, or the number of iterations"
                if self.contraction < 1
                else "the contraction is not below 1, so that there need be no inverse"
            )
            raise NumericsError(
                f"the inverse was not found: residual {float(found.residual):.3g} after"
                f" {int(found.iterations)} iterations, expected {tolerance:g} of |y|; {why}"
            )
        return found.x
