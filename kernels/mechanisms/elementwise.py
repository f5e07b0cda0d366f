"""Mechanisms that act on each logit alone: identity, ReLU and absolute value."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.mechanisms.head import Head
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class _Elementwise(Mechanism):
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540"

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        weights = self.weight(logits)
        return Mixing(weights if visible is None else jnp.where(visible, weights, 0))

    def head_state(self, logits: Array, visible: Array | None) -> Array:
        import jax.numpy as jnp

        # The weight and the slope of a logit of zero are zero, or meet a weight that is.
        return logits if visible is None else jnp.where(visible, logits, 0)

    def head(self, state: Array) -> Head:
        return Head(self.weight(state), self.slope(state), None)

    def weight(self, logits: Array) -> Array:
        """The weight of each logit."""
        raise self._undefined("weight")

    def slope(self, logits: Array) -> Array:
        """The derivative of the weight; zero at a logit of zero that is not seen."""
        raise self._undefined("slope")


class IdentityScores(_Elementwise):
    """A_ij = G_ij."""

    type: Literal["identity"] = "identity"
    equation: ClassVar[str] = "A_ij = G_ij"

    def weight(self, logits: Array) -> Array:
        return logits

    def slope(self, logits: Array) -> Array:
        return (logits != 0).astype(logits.dtype)


class ReLUScores(_Elementwise):
    """A_ij = max(G_ij, 0)."""

    type: Literal["relu"] = "relu"
    equation: ClassVar[str] = "A_ij = max(G_ij, 0)"

    def weight(self, logits: Array) -> Array:
        import jax.numpy as jnp

        return jnp.maximum(logits, 0)

    def slope(self, logits: Array) -> Array:
        return (logits > 0).astype(logits.dtype)


class AbsScores(_Elementwise):
    """A_ij = |G_ij|."""

    type: Literal["abs"] = "abs"
    equation: ClassVar[str] = "A_ij = |G_ij|"
    even: ClassVar[bool] = True

    def weight(self, logits: Array) -> Array:
        import jax.numpy as jnp

        return jnp.abs(logits)

    def slope(self, logits: Array) -> Array:
        import jax.numpy as jnp

        return jnp.sign(logits)
