"""What an attention mechanism is: a map from one input's logits to its mixing matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernels.spec.exactness import Exactness
from kernels.spec.model import Numbers, Spec

if TYPE_CHECKING:
    from jax import Array

    from kernels.mechanisms.head import Head
    from kernels.mechanisms.mixing import Mixing


class Mechanism(Spec):
    """Row by row, logits G (T, T) become weights A (T, T)."""

    equation: ClassVar[str]
    source: ClassVar[str]
    exactness: ClassVar[Exactness] = "exact"
    always_causal: ClassVar[bool] = False
    """Whether positions see only earlier ones whatever `causal` says; its canonical form is true."""
    linear_only: ClassVar[str] = ""
    """Why there is no such mechanism under "sqrt" scaling; empty where there is, and it then has
    `head_state` and `head`."""
    even: ClassVar[bool] = False
    """Whether logits G and -G have the same weights, so that antithetic heads would be copies."""

    @classmethod
    def name(cls) -> str:
        """The mechanism's `type` in a document."""
        return cls.model_fields["type"].default

    @property
    def how_exact(self) -> Exactness:
        """`exactness`, where it depends on the parameters."""
        return self.exactness

    @property
    def why_linear_only(self) -> str:
        """`linear_only`, where it depends on the parameters."""
        return self.linear_only

    @property
    def trims(self) -> bool:
        """Whether masked positions after the last real one can be cut off without effect."""
        return True

    @property
    def narrowest(self) -> int:
        """Channels that queries and keys of a head have to have at finite width."""
        return 1

    def warnings(self, qk_std: float) -> tuple[str, ...]:
        """What a caller should know of these parameters: one has no effect, a limit degenerates.

        Args:
            qk_std: that of the attention layer.
        """
        return ()

    def causal_warnings(self) -> tuple[str, ...]:
        """What a caller should know of these parameters where attention is causal.

        Raises:
            SpecError: it cannot be; the pointer is relative to the mechanism.
        """
        return ()

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        """The mixing matrix in the limit, where logits are qk_std K~(x, x).

        Args:
            logits: (T, T), symmetric and positive semidefinite; rows are queries.
            visible: (T, T) bool, which keys each query may see; None if all.
            numbers: the mechanism's own numbers.

        Returns:
            weights, zero where a key is not visible; a row that sees nothing is zero.
        """
        raise self._undefined("mixing")

    def factor_columns(self, causal: bool) -> int | None:
        """Columns of the two thin factors in which A(x) is kept of inputs long enough for them
        (`mixing.cheaper_in_factors`); None where it is kept itself. Memory is planned by it."""
        return None

    def within_tolerance(self) -> Mechanism:
        """The mechanism whose mixing matrix is exact, though slower, for every input where this one's is off
        by more than the caller tolerates; itself where it approximates nothing."""
        return self

    def causal_mixing(self, logits: Array, visible: Array, numbers: Numbers) -> Mixing:
        """`mixing` where no query sees later keys, for mechanisms to which that is not the same."""
        return self.mixing(logits, visible, numbers)

    def approximated(self) -> Mechanism:
        """The mechanism that this one approximates, which heads of finite width have; itself where it
        approximates none."""
        return self

    def finite_mixing(
        self,
        queries: Array,
        keys: Array,
        visible: Array | None,
        scale: Array | float,
        numbers: Numbers,
    ) -> Array:
        """The mixing matrix of one head of finite width, (T, T).

        The default takes the logits for those of the limit, which they tend to; a mechanism
        whose `mixing` reads anything but logits that are products says its own.

        Args:
            queries: (T, d_k).
            keys: (T, d_k); the same as the queries under "linear" scaling.
            visible: as in `mixing`.
            scale: what the products are multiplied by, 1 / d_k or qk_std / sqrt(d_k).
            numbers: as in `mixing`.
        """
        import jax.numpy as jnp

        logits = scale * jnp.matmul(queries, keys.T)
        return self.approximated().mixing(logits, visible, numbers).dense()

    def head_state(self, logits: Array, visible: Array | None) -> Array:
        """What an input keeps of one head with random logits, (T, T): what `head` makes its weights of.

        Args:
            logits: (T, T), not symmetric; rows are queries.
            visible: as in `mixing`.
        """
        raise self._undefined("head_state")

    def head(self, state: Array) -> Head:
        """The weights of one head and their derivative by its logits, from its `head_state`."""
        raise self._undefined("head")
