"""Feature maps of linear attention: the kernel that their products tend to, and the maps themselves.

With queries and keys u = W h of tied weights, phi(u_i) . phi(u_j) / features tends to
kappa_ij = E[phi phi], (u_i, u_j) ~ N(0, [[G_ii, G_ij], [G_ij, G_jj]]). It is handled as
kappa_ij = n_i n_j R_ij with R_ii = 1, so that powers of small variances never meet the dtype's end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from kernels.spec.model import ByName, Count, Spec

if TYPE_CHECKING:
    from jax import Array


WHY_LINEAR_ONLY: Final = (
    "with query and key weights of their own the mean of phi(q) phi(k) does not depend on the query"
)
"""Of mechanisms that take the products of features for weights."""


class FeatureMap(Spec):
    """phi, coordinate by coordinate or on pairs of coordinates."""

    homogeneous: ClassVar[bool]
    """Whether a factor of all logits is a factor of kappa, which any normalisation removes."""

    @classmethod
    def name(cls) -> str:
        """The map's `type` in a document."""
        return cls.model_fields["type"].default

    @property
    def without_effect(self) -> str | None:
        """What to say of a parameter that the limit does not depend on."""
        return None

    @property
    def narrowest(self) -> int:
        """Channels that queries and keys have to have at finite width."""
        return 1

    def kernel(self, logits: Array) -> tuple[Array, Array]:
        """R (T, T) and the norms n (T,): 1 on the diagonal of R, or 0 where the norm is 0; NaN where
        a norm has overflowed."""
        import jax.numpy as jnp

        correlation, norms = self.moments(logits)
        norms = jnp.where(norms < jnp.inf, norms, jnp.nan)
        alive = ~(norms <= 0)
        both = alive[:, None] & alive[None, :]
        itself = jnp.eye(len(norms), dtype=bool)
        lost = jnp.isnan(norms)
        lost = lost[:, None] | lost[None, :]
        kernel = jnp.where(both, jnp.where(itself, 1, correlation), 0)
        return jnp.where(lost, jnp.nan, kernel), norms

    def moments(self, logits: Array) -> tuple[Array, Array]:
        """R off the diagonal, whatever where a norm is 0, and the norms."""
        raise self._undefined("moments")

    def features(self, u: Array) -> Array:
        """phi of queries or keys (T, d), (T, features)."""
        raise self._undefined("features")


class ReLUFeatures(FeatureMap):
    """phi(z) = max(z, 0)."""

    type: Literal["relu"] = "relu"
    homogeneous: ClassVar[bool] = True

    def moments(self, logits: Array) -> tuple[Array, Array]:
        import jax.numpy as jnp

        from kernels.mechanisms.relu_moment import relu_correlation

        variance = jnp.maximum(jnp.diagonal(logits), 0)
        return relu_correlation(logits), jnp.sqrt(variance / 2)

    def features(self, u: Array) -> Array:
        from kernels.mechanisms.features import relu

        return relu(u)


class EluPlusOne(FeatureMap):
    """phi(z) = 1 + z above zero, exp(z) below."""

    type: Literal["elu_plus_one"] = "elu_plus_one"
    homogeneous: ClassVar[bool] = False

    def moments(self, logits: Array) -> tuple[Array, Array]:
        import jax.numpy as jnp

        from kernels.mechanisms.elu_moment import elu_plus_one_moment

        kappa = elu_plus_one_moment(logits)
        norms = jnp.sqrt(jnp.diagonal(kappa))
        return kappa / (norms[:, None] * norms[None, :]), norms

    def features(self, u: Array) -> Array:
        from kernels.mechanisms.features import elu_plus_one

        return elu_plus_one(u)


class DPFP(FeatureMap):
    """Products of rectified coordinates: z = relu([k, -k]), phi = z_i z_(i + l), l = 1..nu.

    Any two coordinates are independent unless they are one and its negative, so the kernel is the
    square of relu's for every nu: nu only changes how far a finite network is from the limit.
    """

    type: Literal["dpfp"] = "dpfp"
    # Each l is an operation more to compile at finite width. The paper goes to 3.
    nu: Annotated[Count, Field(le=16)] = 1
    homogeneous: ClassVar[bool] = True

    @property
    def without_effect(self) -> str | None:
        if self.nu == 1:
            return None
        return (
            f"nu = {self.nu} has no effect on the infinitely wide network, whose kernel is that of "
            f"nu = 1; it only changes networks of finite width"
        )

    def moments(self, logits: Array) -> tuple[Array, Array]:
        correlation, norms = ReLUFeatures().moments(logits)
        return correlation**2, norms**2

    @property
    def narrowest(self) -> int:
        # The ring of 2 d_k coordinates must not meet itself.
        return self.nu // 2 + 1

    def features(self, u: Array) -> Array:
        from kernels.mechanisms.features import dpfp

        return dpfp(u, self.nu)


AnyFeatureMap = Annotated[
    Annotated[ReLUFeatures | EluPlusOne | DPFP, Field(discriminator="type")],
    ByName(),
]
"""A feature map by its name alone, or as an object with its parameters."""
