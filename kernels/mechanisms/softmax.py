"""Softmax attention, exact or compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from kernels.errors import SpecError
from kernels.mechanisms.head import Head
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.spec.exactness import Exactness
from kernels.spec.model import Numbers, Positive

if TYPE_CHECKING:
    from jax import Array


class Softmax(Mechanism):
    """A_ij = exp(G_ij) / sum_l exp(G_il) over visible keys; compressed if a rank is given.

    With `rank`, A(x) is kept in two factors of that many columns where inputs have more positions,
    at an error that is measured for every input. Inputs whose error is above `tolerance` are
    computed exactly, as if there was no rank.
    """

    type: Literal["softmax"] = "softmax"
    rank: Annotated[int, Field(strict=True, ge=2)] | None = None
    tolerance: Positive | None = None

    equation: ClassVar[str] = (
        "A_ij = exp(G_ij) / sum_l exp(G_il); "
        "rank: exp(G) by its pivoted Cholesky factor, what rows lack spread evenly"
    )
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540"

    @model_validator(mode="after")
    def _tolerance_of_a_rank(self) -> Self:
        if self.tolerance is not None and self.rank is None:
            raise ValueError(
                "a tolerance says when a softmax of low rank is too far off; give the rank too, or "
                "leave the tolerance out for exact softmax"
            )
        return self

    @property
    def how_exact(self) -> Exactness:
        return "exact" if self.rank is None else "approximate"

    @property
    def why_linear_only(self) -> str:
        return (
            ""
            if self.rank is None
            else "random logits have no factor of low rank (or leave the rank out)"
        )

    def causal_warnings(self) -> tuple[str, ...]:
        if self.rank is None:
            return ()
        raise SpecError(
            "causal softmax is not of low rank: half of every row is cut off, at another place in "
            "each; leave the rank out",
            "/rank",
        )

    def factor_columns(self, causal: bool) -> int | None:
        # Of a group in which some input is not within the tolerance all are dense.
        return self.rank if self.tolerance is None else None

    def within_tolerance(self) -> Mechanism:
        if self.tolerance is None:
            return self
        return _WithinTolerance.model_construct(rank=self.rank, tolerance=self.tolerance)

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        if self.rank is None or self.rank >= len(logits):
            return Mixing(softmax_rows(logits, visible))
        from kernels.mechanisms.low_rank import low_rank_softmax

        mixing = low_rank_softmax(logits, visible, self.rank)
        if self.tolerance is None or mixing.error is None:
            return mixing
        return mixing._replace(within=mixing.error <= numbers["tolerance"])

    def approximated(self) -> Mechanism:
        return Softmax()

    def head_state(self, logits: Array, visible: Array | None) -> Array:
        return softmax_rows(logits, visible)

    def head(self, state: Array) -> Head:
        return Head(state, state, state)


class _WithinTolerance(Softmax):
    """Compressed softmax for groups of inputs in which some are not within the tolerance.

    Dense, since the inputs of a group share their shapes; but an input's A(x) does not depend on
    the group that it is in, or kernels would not be positive semidefinite.
    """

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        mixing = super().mixing(logits, visible, numbers)
        if mixing.within is None or mixing.error is None:
            return mixing
        exact = softmax_rows(logits, visible)
        weights = jnp.where(mixing.within, mixing.dense(), exact)
        return Mixing(weights, error=jnp.where(mixing.within, mixing.error, 0))


def softmax_rows(logits: Array, visible: Array | None) -> Array:
    """exp(G_ij) / sum_l exp(G_il) over visible keys, (T, T); zero for a row that sees nothing."""
    import jax.numpy as jnp

    if visible is None:
        weights = jnp.exp(below_peak(below_peak(logits, None), None))
        return weights / weights.sum(1, keepdims=True)
    below = below_peak(below_peak(logits, visible), visible)
    # Not a minimum, whose derivative where both are equal, at the peak, is a half.
    weights = jnp.where(visible, jnp.exp(jnp.where(below > 0, 0, below)), 0)
    total = weights.sum(1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)


def below_peak(logits: Array, visible: Array | None) -> Array:
    """Logits minus the largest visible one of their row.

    Once is not enough: XLA multiplies qk_std in again here, in one rounding with the subtraction,
    and at logits of 1e10 the largest difference is then not 0 but in the hundreds.

    The weights do not depend on what is subtracted, so finite networks need no derivative of it;
    JAX's would look for the logit equal to the peak, which that same rounding hides in compiled
    code (measured: derivatives 10 % off).
    """
    import jax.numpy as jnp
    from jax.lax import stop_gradient

    if visible is None:
        return logits - stop_gradient(logits.max(1, keepdims=True))
    # The least finite number, not -inf: a row that sees nothing must not become inf - inf.
    lowest = jnp.finfo(logits.dtype).min
    peak = jnp.where(visible, logits, lowest).max(1, keepdims=True)
    return logits - stop_gradient(peak)
