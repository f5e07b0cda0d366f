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
