"""The Gaussian error linear unit, in its exact form."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.correlation import root_determinant
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class Gelu(Activation):
    """x Phi(x), Phi the normal distribution function.

    With D = (1 + p)(1 + q) - c^2 and w = 1/4 + arcsin(c / sqrt((1 + p)(1 + q))) / (2 pi), the
    mean of Phi(u) Phi(v), Stein's identity E[u g] = p E[g_u] + c E[g_v] applied to each factor
    gives the equations below.
    """

    type: Literal["gelu"] = "gelu"

    equation: ClassVar[str] = (
        "K' = c w + (p q - c^2 + c^2 (1/(1+p) + 1/(1+q))) / (2 pi sqrt(D)); "
        "Theta' = [w + c (1/(1+p) + 1/(1+q) + 1/D) / (2 pi sqrt(D))] Theta; "
        "D = (1+p)(1+q) - c^2, w = 1/4 + arcsin(c / sqrt((1+p)(1+q))) / (2 pi), c = K"
    )
    source: ClassVar[str] = (
        "Hendrycks & Gimpel, arXiv 1606.08415; Tsuchida et al., arXiv 2002.08517"
    )

    def function(self, numbers: Numbers, x: Array) -> Array:
        from jax.nn import gelu

        return gelu(x, approximate=False)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        # sqrt(p q - c^2) and hypot: squares leave the range of float32 long before p and q do.
        rest = root_determinant(p, q, c, coincide)
        root = jnp.hypot(jnp.sqrt(1 + p + q), rest)
        both = 1 / 4 + jnp.arctan2(c, root) / (2 * jnp.pi)
        shrink = 1 / (1 + p) + 1 / (1 + q)
        value = c * both + (rest * (rest / root) + (c * shrink) * (c / root)) / (2 * jnp.pi)
        return value, both + (c / root) * (shrink + 1 / root**2) / (2 * jnp.pi)
