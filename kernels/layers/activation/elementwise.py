"""Activations without a closed form, by integration.

With `degree` given: the Gauss-Hermite rule with that many nodes in each of two variables. Without:
a table in both variances and the correlation, by quadrature that is cut at 0, where functions may
have a kink (dual_table.py); pairs look up theirs (interpolated.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from kernels.correlation import correlation
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.layers.activation.interpolated import Features
    from kernels.layers.layer import Exactness

Function = Literal[
    "tanh", "sigmoid", "silu", "softplus", "elu", "softsign", "arctan", "mish", "log_sigmoid"
]


class _Seen(NamedTuple):
    """What integration without a degree reads of one input: its variances, and f and f' there."""

    variance: Array
    value: Features
    slope: Features


class Elementwise(Activation):
    """A named function, integrated numerically."""

    type: Literal["elementwise"] = "elementwise"
    fn: Function
    degree: Annotated[int, Field(strict=True, ge=2, le=200)] | None = None

    equation: ClassVar[str] = (
        "K' = E[f(u) f(v)]; Theta' = E[f'(u) f'(v)] Theta, by quadrature cut at 0, tabulated in both "
        "variances and the angle, or by a Gauss-Hermite rule of `degree` nodes a variable"
    )
    source: ClassVar[str] = "quadrature; Daniely et al., arXiv 1602.05897, for the dual"
    passes: ClassVar[float] = 60.0
    # At most 56 features each of f and of f' (dual_table.py), their squares and the variance: 115.
    kept_numbers: ClassVar[int] = 160
    not_finite: ClassVar[str] = (
        "it is tabulated up to a variance of 90,000; use smaller inputs or stds, normalise with "
        "layer_norm, or give a degree and accept its error"
    )
    float64_helps: ClassVar[bool] = False

    @property
    def how_exact(self) -> Exactness:
        return "exact" if self.degree is None else "approximate"

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.degree is None:
            return ()
        warning = (
            f"elementwise with degree {self.degree}: the nodes are those of x, given which x' is "
            f"integrated, so that the kernel of x and x' is not quite that of x' and x, nor positive "
            f"semidefinite; without a degree it is exact"
        )
        return (warning,)

    def observe(self, cov: Array, site: Site) -> Any:
        variance = site.variance(cov)
        if self.degree is not None:
            return variance
        from kernels.layers.activation.interpolated import observed

        return _Seen(variance, *observed(_functions()[self.fn], variance))

    def pair(self, block: Block, site: Site) -> Block:
        one, two = site.left.seen, site.right.seen
        if self.degree is not None:
            p, q = site.broadcast(one, two)
            value, slope = self._tensor_rule(p, q, block.nngp, self.degree)
            return block._replace(nngp=value, ntk=None if block.ntk is None else slope * block.ntk)
        return self._looked_up(one, two, block, site)

    def _looked_up(self, one: _Seen, two: _Seen, block: Block, site: Site) -> Block:
        import jax.numpy as jnp

        from kernels.layers.activation.dual_table import Table, tables
        from kernels.layers.activation.interpolated import interpolated

        coincide = site.coincide()
        _, rho = correlation(*site.broadcast(one.variance, two.variance), block.nngp, coincide)

        def dual(table: Table, left: Features, right: Features) -> Array:
            exact, _ = site.broadcast(left.square, right.square)
            return jnp.where(coincide, exact, interpolated(table, left, right, rho, site))

        of_f, of_derivative = tables(_functions()[self.fn])
        value = dual(of_f, one.value, two.value)
        if block.ntk is None:
            return block._replace(nngp=value)
        slope = dual(of_derivative, one.slope, two.slope)
        return block._replace(nngp=value, ntk=slope * block.ntk)

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
        # Not arctan, which is compiled wrongly for wide registers (kernels/compiler_options.py).
        "arctan": lambda x: 2 * jnp.arctan2(x, 1 + jnp.hypot(1.0, x)),
        "mish": jax.nn.mish,
        "log_sigmoid": jax.nn.log_sigmoid,
    }
