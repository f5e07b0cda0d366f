"""Delta-rule attention: fast weights that correct what they already hold.

W_t = W_(t-1) + beta (v_t - W_(t-1) k_t) k_t^T and y_t = W_t q_t, with W_0 = 0 and features q_t and k_t
of norm one, of tied weights. Unrolled, and at any width, y = A v with

    A = tril(R) (I + beta N)^-1 beta,  R_ij = q_i . k_j,  N = R strictly below its diagonal.

As R_ii = 1, N (I + beta N)^-1 beta = I - Y for Y = (I + beta N)^-1, and A = beta I + (1 - beta) (I - Y):
one triangular inverse and no product. Each step is a contraction for 0 < beta < 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.mechanisms.feature_maps import DPFP, WHY_LINEAR_ONLY, AnyFeatureMap
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.mechanisms.triangular import unit_lower_inverse
from kernels.spec.model import Numbers, StepSize

if TYPE_CHECKING:
    from jax import Array


class Delta(Mechanism):
    """Fast weights written by the delta rule, one position after the other: always causal."""

    type: Literal["delta"] = "delta"
    feature_map: AnyFeatureMap = DPFP()
    beta: StepSize = 0.5

    equation: ClassVar[str] = (
        "A = tril(R) (I + beta stril(R))^-1 beta, R_ij = kappa_ij / sqrt(kappa_ii kappa_jj); "
        "kappa as for linear; stril is what is strictly below the diagonal"
    )
    source: ClassVar[str] = (
        "Schlag, Irie & Schmidhuber, arXiv 2102.11174; Yang et al., arXiv 2406.06484"
    )
    always_causal: ClassVar[bool] = True
    linear_only: ClassVar[str] = WHY_LINEAR_ONLY

    @property
    def narrowest(self) -> int:
        return self.feature_map.narrowest

    def warnings(self, qk_std: float) -> tuple[str, ...]:
        found = [self.feature_map.without_effect]
        if self.beta == 1:
            found.append(
                "beta = 1 makes the delta rule the identity: with tied queries and keys of norm one "
                "every position reads back what it has just written; take beta below 1"
            )
        if self.feature_map.homogeneous and qk_std not in (0, 1):
            found.append(
                f"qk_std = {qk_std:g} has no effect: features of norm one are the same for every "
                f'qk_std but 0 with feature map "{self.feature_map.name()}"'
            )
        return tuple(warning for warning in found if warning is not None)

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        correlation, norms = self.feature_map.kernel(logits)
        alive: Any = ~(norms <= 0)
        if visible is not None:
            alive = alive & jnp.diagonal(visible)
        return Mixing(_delta_rule(correlation, alive, numbers["beta"]))

    def finite_mixing(
        self,
        queries: Array,
        keys: Array,
        visible: Array | None,
        scale: Array | float,
        numbers: Numbers,
    ) -> Array:
        import jax.numpy as jnp

        seen = self.feature_map.features(queries)
        squares = (seen * seen).sum(1)
        alive: Any = squares > 0
        # The root of a zero has no derivative: it must not be taken.
        norms = jnp.sqrt(jnp.where(alive, squares, 1))
        unit = jnp.where(alive[:, None], seen / norms[:, None], 0)
        if visible is not None:
            alive = alive & jnp.diagonal(visible)
        return _delta_rule(jnp.matmul(unit, unit.T), alive, numbers["beta"])


def _delta_rule(correlation: Array, alive: Array, beta: Array) -> Array:
    """A, (T, T), from R and the positions that write; the others neither write nor read."""
    import jax.numpy as jnp

    both = alive[:, None] & alive[None, :]
    strictly = jnp.where(both, jnp.tril(correlation, -1), 0)
    inverse = unit_lower_inverse(beta * strictly)
    return jnp.diag(beta * alive) - (1 - beta) * jnp.tril(inverse, -1)
