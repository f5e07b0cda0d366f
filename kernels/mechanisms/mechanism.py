"""What an attention mechanism is: a map from one input's logits to its mixing matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernels.layers.layer import Exactness
from kernels.spec.model import Spec

if TYPE_CHECKING:
    from jax import Array


class Mechanism(Spec):
    """Row by row, logits G (T, T) become weights A (T, T)."""

    equation: ClassVar[str]
    source: ClassVar[str]
    exactness: ClassVar[Exactness] = "exact"

    @classmethod
    def name(cls) -> str:
        """The mechanism's `type` in a document."""
        return cls.model_fields["type"].default

    def mixing(self, logits: Array, visible: Array | None) -> Array:
        """The mixing matrix.

        Args:
            logits: (T, T), rows are queries.
            visible: (T, T) bool, which keys each query may see; None if all.

        Returns:
            (T, T) weights, zero where a key is not visible; a row that sees nothing is zero.
        """
        raise NotImplementedError

    def finite_mixing(
        self, queries: Array, keys: Array, visible: Array | None, scale: Array | float
    ) -> Array:
        """The mixing matrix of one head of finite width.

        The default takes the logits for those of the limit, which they tend to; a mechanism
        whose `mixing` reads anything but logits that are products says its own.

        Args:
            queries: (T, d_k).
            keys: (T, d_k); the same as the queries under "linear" scaling.
            visible: as in `mixing`.
            scale: what the products are multiplied by, 1 / d_k or qk_std / sqrt(d_k).
        """
        import jax.numpy as jnp

        return self.mixing(scale * jnp.matmul(queries, keys.T), visible)
