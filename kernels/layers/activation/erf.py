"""The error function."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.correlation import root_determinant
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Number, Numbers

if TYPE_CHECKING:
    from jax import Array


class Erf(Activation):
    """a erf(b x) + c."""

    type: Literal["erf"] = "erf"
    a: Number = 1.0
    b: Number = 1.0
    c: Number = 0.0

    equation: ClassVar[str] = (
        "K' = (2 a^2 / pi) arcsin(2 b^2 K / sqrt((1 + 2 b^2 p)(1 + 2 b^2 q))) + c^2; "
        "Theta' = (4 a^2 b^2 / pi) / sqrt((1 + 2 b^2 p)(1 + 2 b^2 q) - 4 b^4 K^2) Theta"
    )
    source: ClassVar[str] = "Williams, NeurIPS 1996, 'Computing with infinite networks'"

    def function(self, numbers: Numbers, x: Array) -> Array:
        from jax.scipy.special import erf

        return numbers["a"] * erf(numbers["b"] * x) + numbers["c"]

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        a, b, shift = numbers["a"], numbers["b"], numbers["c"]
        p, q, c = (2 * b * b * x for x in (p, q, c))
        # hypot, because p q leaves the range of float32 long before p and q do.
        root = jnp.hypot(jnp.sqrt(1 + p + q), root_determinant(p, q, c, coincide))
        value = 2 * a * a / jnp.pi * jnp.arctan2(c, root) + shift * shift
        return value, 4 * a * a * b * b / jnp.pi / root
