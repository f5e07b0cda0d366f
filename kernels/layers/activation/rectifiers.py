"""The piecewise linear activations: a min(x, 0) + b max(x, 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.correlation import correlation, fold_and_angle, sine_and_angle
from kernels.layers.activation.activation import Activation
from kernels.spec.model import Number, Numbers

if TYPE_CHECKING:
    from jax import Array


class _Rectifier(Activation):
    """With g = sqrt(p q) and t the angle: E[f f'] is made of the arc-cosine kernel
    k(t) = g (sin t + (pi - t) cos t) / (2 pi) and its mirror k(pi - t)."""

    source: ClassVar[str] = "Cho & Saul, NeurIPS 2009; relu, leaky_relu and abs are cases of it"
    kinked: ClassVar[bool] = True
    # By what XLA reports of relu, leaky_relu and abs (tests/kernels/engine/test_memory.py).
    dual_blocks: ClassVar[int] = 0

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        a, b = self.slopes(numbers)
        return a * jnp.minimum(x, 0) + b * jnp.maximum(x, 0)

    def slopes(self, numbers: Numbers) -> tuple[Any, Any]:
        """The slope a below zero and the slope b above."""
        raise self._undefined("slopes")

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        a, b = self.slopes(numbers)
        scale, rho = correlation(p, q, c, coincide)
        fold, angle = fold_and_angle(rho)
        same, opposite = fold + jnp.pi * jnp.maximum(rho, 0), fold + jnp.pi * jnp.maximum(-rho, 0)
        squares = (a * a + b * b) / (2 * jnp.pi)
        value, slope = squares * same, squares * (jnp.pi - angle)
        if not (isinstance(a, int) and a == 0):  # XLA would not drop the products with zero
            product = a * b / jnp.pi
            value, slope = value - product * opposite, slope + product * angle
        return scale * value, slope


class ReLU(_Rectifier):
    """max(x, 0)."""

    type: Literal["relu"] = "relu"

    equation: ClassVar[str] = (
        "K' = g (sin t + (pi - t) cos t) / (2 pi); Theta' = (pi - t) / (2 pi) Theta; "
        "g = sqrt(p q), cos t = K / g"
    )

    def slopes(self, numbers: Numbers) -> tuple[Any, Any]:
        return 0, 1


class Abs(_Rectifier):
    """|x|."""

    type: Literal["abs"] = "abs"

    equation: ClassVar[str] = (
        "K' = g (2 sin t + (pi - 2 t) cos t) / pi; Theta' = (1 - 2 t / pi) Theta; "
        "g = sqrt(p q), cos t = K / g"
    )

    def slopes(self, numbers: Numbers) -> tuple[Any, Any]:
        return -1, 1


class LeakyReLU(_Rectifier):
    """alpha min(x, 0) + max(x, 0)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    alpha: Number

    equation: ClassVar[str] = "ab_relu with a = alpha, b = 1"

    def slopes(self, numbers: Numbers) -> tuple[Any, Any]:
        return numbers["alpha"], 1


class ABReLU(_Rectifier):
    """a min(x, 0) + b max(x, 0)."""

    type: Literal["ab_relu"] = "ab_relu"
    a: Number
    b: Number

    equation: ClassVar[str] = (
        "K' = (a^2 + b^2) k(t) - 2 a b k(pi - t), k(t) = g (sin t + (pi - t) cos t) / (2 pi); "
        "Theta' = [(a^2 + b^2) (pi - t) + 2 a b t] / (2 pi) Theta"
    )
    dual_blocks: ClassVar[int] = Activation.dual_blocks

    def slopes(self, numbers: Numbers) -> tuple[Any, Any]:
        return numbers["a"], numbers["b"]


class Sign(Activation):
    """The sign of x, whose derivative is 0 wherever it exists, so that no gradient passes it."""

    type: Literal["sign"] = "sign"

    equation: ClassVar[str] = "K' = 1 - 2 t / pi, cos t = K / sqrt(p q); Theta' = 0"
    source: ClassVar[str] = "Cho & Saul, NeurIPS 2009"
    kinked: ClassVar[bool] = True

    def function(self, numbers: Numbers, x: Array) -> Array:
        import jax.numpy as jnp

        return jnp.sign(x)

    def dual(
        self, numbers: Numbers, p: Array, q: Array, c: Array, coincide: Array | bool
    ) -> tuple[Array, Array]:
        import jax.numpy as jnp

        scale, rho = correlation(p, q, c, coincide)
        _, angle = sine_and_angle(rho)
        value = jnp.where(scale <= 0, 0, 1 - 2 * angle / jnp.pi)
        return value, jnp.zeros_like(value)
