"""Activations without a closed form, by integration.

With `degree` given: the Gauss-Hermite rule with that many nodes in each of two variables. Without:
Mehler's expansion E[f(u) f(v)] = sum_n a_n(p) a_n(q) rho^n, where a_n(p) = E[f(sqrt(p) z) h_n(z)]
are one input's coefficients in normalised Hermite polynomials, so that a pair costs one term a
coefficient instead of degree^2 evaluations. Terms are added until the rest is below the tolerance:
the rest of each input's sum of squares is known, and bounds that of the pair by Cauchy-Schwarz.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from kernels.layers.activation.activation import Activation
from kernels.layers.activation.correlation import correlation
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site

Function = Literal[
    "tanh", "sigmoid", "silu", "softplus", "elu", "softsign", "arctan", "mish", "log_sigmoid"
]

_TERMS = 512
"""Coefficients kept; tanh at unit variance needs about 40 for 1e-8, 200 at variance 10."""
_NODES = 1024
"""Gauss-Legendre nodes on each half line: h_512 oscillates with a period of 0.28, on [0, 50]."""
_REACH = 50.0
"""Where h_512(z) exp(-z^2 / 4) has died off: past its turning point at 2 sqrt(512) = 45."""


class Expansion(NamedTuple):
    """One input's coefficients, each (P, ...) or, for a vector, without the first axis.

    Attributes:
        variance: p.
        value: a_n of f, (P, _TERMS).
        slope: a_n of f', (P, _TERMS).
        squares: E[f^2] and E[f'^2], (P, 2).
        rest: what the squares of all kept coefficients leave of them, (P, 2), relative.
        terms: how many coefficients leave less than the tolerance, ().
    """

    variance: Array
    value: Array
    slope: Array
    squares: Array
    rest: Array
    terms: Array


class Elementwise(Activation):
    """A named function, integrated numerically."""

    type: Literal["elementwise"] = "elementwise"
    fn: Function
    degree: Annotated[int, Field(strict=True, ge=2, le=200)] | None = None

    equation: ClassVar[str] = (
        "K' = E[f(u) f(v)]; Theta' = E[f'(u) f'(v)] Theta, by Mehler's expansion until the rest "
        "is below 1e-9, or by a Gauss-Hermite rule of `degree` nodes a variable"
    )
    source: ClassVar[str] = "Mehler 1866; Daniely et al., arXiv 1602.05897"
    not_finite: ClassVar[str] = (
        "its expansion does not converge on these inputs, whose correlation is too near 1 for a "
        "function with a kink or for so large a variance; use smaller inputs or stds, normalise "
        "with layer_norm, leave near duplicates out, or give a degree and accept its error"
    )

    def observe(self, cov: Array, site: Site) -> Any:
        variance = site.variance(cov)
        return variance if self.degree is not None else self._expansion(variance)

    def pair(self, block: Block, site: Site) -> Block:
        if self.degree is not None:
            p, q = site.broadcast(site.left.seen, site.right.seen)
            value, slope = self._tensor_rule(p, q, block.nngp, self.degree)
        else:
            value, slope = _mehler(site.left.seen, site.right.seen, block.nngp, site)
        return block._replace(nngp=value, ntk=None if block.ntk is None else slope * block.ntk)

    def function(self, numbers: Numbers, x: Array) -> Array:
        return _functions()[self.fn](x)

    def _with_slope(self, x: Array) -> tuple[Array, Array]:
        import jax
        import jax.numpy as jnp

        return jax.jvp(_functions()[self.fn], (x,), (jnp.ones_like(x),))

    def _tensor_rule(self, p: Array, q: Array, c: Array, degree: int) -> tuple[Array, Array]:
        """x = sqrt(2 p) a and y = sqrt(2) (c / sqrt(p) a + sqrt(q - c^2 / p) b) over all nodes."""
        import jax.numpy as jnp
        from jax import lax

        nodes, weights = (
            jnp.asarray(part, c.dtype) for part in np.polynomial.hermite.hermgauss(degree)
        )
        root = jnp.sqrt(p)
        along = jnp.where(root > 0, c / jnp.where(root > 0, root, 1), 0)
        across = jnp.sqrt(jnp.maximum(q - along**2, 0))

        def add(k: Array, totals: tuple[Array, Array]) -> tuple[Array, Array]:
            a, b = nodes[k // degree], nodes[k % degree]
            weight = weights[k // degree] * weights[k % degree] / jnp.pi
            x, dx = self._with_slope(jnp.sqrt(2.0).astype(c.dtype) * root * a + 0 * c)
            y, dy = self._with_slope(jnp.sqrt(2.0).astype(c.dtype) * (along * a + across * b))
            return totals[0] + weight * x * y, totals[1] + weight * dx * dy

        return lax.fori_loop(0, degree**2, add, (jnp.zeros_like(c), jnp.zeros_like(c)))

    def _expansion(self, variance: Array) -> Expansion:
        import jax.numpy as jnp
        from jax import lax

        half, weights = np.polynomial.legendre.leggauss(_NODES)
        half, weights = _REACH * (half + 1) / 2, _REACH * weights / 2
        # Both half lines, so that a kink of f at 0 falls on a boundary.
        z = jnp.asarray(np.concatenate([-half, half]), variance.dtype)
        density = np.exp(-(np.concatenate([half, half]) ** 2) / 4) / (2 * np.pi) ** 0.25
        w = jnp.asarray(np.concatenate([weights, weights]), variance.dtype)
        bell = jnp.asarray(density, variance.dtype)
        flat = variance.reshape(-1, 1)
        both = self._with_slope(jnp.sqrt(flat) * z[None, :])
        # Half of the Gaussian density goes with f, half with h_n: neither overflows.
        half_density = bell * jnp.sqrt(w)
        f = jnp.stack(both) * half_density[None, None, :]
        squares = (f * f).sum(-1)

        def term(carry: tuple[Array, Array], n: Array) -> tuple[tuple[Array, Array], Array]:
            now, before = carry
            following = (z * now - jnp.sqrt(n) * before) / jnp.sqrt(n + 1)
            return (following, now), jnp.matmul(f, now)

        first = (half_density, jnp.zeros_like(z))
        _, a = lax.scan(term, first, jnp.arange(_TERMS, dtype=variance.dtype))
        a = jnp.moveaxis(a, 0, -1)  # (2, P, terms)
        left = jnp.maximum(squares[..., None] - (a * a).cumsum(-1), 0)
        left = left / jnp.where(squares > 0, squares, 1)[..., None]
        enough = left < _tolerance(variance)
        needed = jnp.where(enough.any(-1), jnp.argmax(enough, -1) + 1, _TERMS)
        shape = variance.shape
        return Expansion(
            variance,
            a[0].reshape(*shape, _TERMS),
            a[1].reshape(*shape, _TERMS),
            squares.T.reshape(*shape, 2),
            left[..., -1].T.reshape(*shape, 2),
            needed.max(),
        )


def _tolerance(x: Array) -> float:
    import jax.numpy as jnp

    return 1e-10 if x.dtype == jnp.float64 else 2e-7


def _mehler(one: Expansion, two: Expansion, c: Array, site: Site) -> tuple[Array, Array]:
    import jax.numpy as jnp
    from jax import lax

    coincide = site.coincide()
    p, q = site.broadcast(one.variance, two.variance)
    _, rho = correlation(p, q, c, coincide)

    def add(n: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        power, value, slope = carry
        a, b = site.broadcast(one.value[..., n], two.value[..., n])
        da, db = site.broadcast(one.slope[..., n], two.slope[..., n])
        return power * rho, value + a * b * power, slope + da * db * power

    start = (jnp.ones_like(c), jnp.zeros_like(c), jnp.zeros_like(c))
    terms = jnp.maximum(one.terms, two.terms)
    power, *sums = lax.fori_loop(0, terms, add, start)
    results: list[Array] = []
    for i, total in enumerate(sums):
        exact, _ = site.broadcast(one.squares[..., i], two.squares[..., i])
        rest1, rest2 = site.broadcast(one.rest[..., i], two.rest[..., i])
        # Where the kept terms do not reach (a kink or a large variance, at rho near 1), say so
        # with a NaN, which the engine turns into an error, rather than return a wrong number.
        rest = jnp.abs(power) * jnp.sqrt(rest1 * rest2)
        honest = jnp.where(rest < _LARGEST_REST, total, jnp.nan)
        results.append(jnp.where(coincide, exact, honest))
    return results[0], results[1]


_LARGEST_REST = 1e-5


def _functions() -> dict[Function, Callable[[Any], Any]]:
    import jax
    import jax.numpy as jnp

    return {
        "tanh": jnp.tanh,
        "sigmoid": jax.nn.sigmoid,
        "silu": jax.nn.silu,
        "softplus": jax.nn.softplus,
        "elu": jax.nn.elu,
        "softsign": jax.nn.soft_sign,
        "arctan": jnp.arctan,
        "mish": jax.nn.mish,
        "log_sigmoid": jax.nn.log_sigmoid,
    }
