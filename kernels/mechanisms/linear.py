"""Linear attention: weights are products of features of queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kernels.mechanisms.feature_maps import WHY_LINEAR_ONLY, AnyFeatureMap, EluPlusOne
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class Linear(Mechanism):
    """Products of features of queries and keys, each row divided by its sum if so asked.

    Without the division the products are means over features, and the layer is of degree three
    in its input's kernel (relu) or five (dpfp).
    """

    type: Literal["linear"] = "linear"
    feature_map: AnyFeatureMap = EluPlusOne()
    normalize: bool = True

    equation: ClassVar[str] = (
        "kappa_ij = E[phi(u) phi(v)], (u, v) ~ N(0, [[G_ii, G_ij], [G_ij, G_jj]]); "
        "A_ij = kappa_ij / sum_l kappa_il, or kappa_ij where normalize is false; "
        "relu: phi(z) = max(z, 0), kappa = g (sin t + (pi - t) cos t) / (2 pi), "
        "g = sqrt(G_ii G_jj), cos t = G_ij / g; "
        "elu_plus_one: phi(z) = 1 + z above zero, exp(z) below; "
        "dpfp: the square of relu's kappa, for every nu"
    )
    source: ClassVar[str] = (
        "Katharopoulos et al., arXiv 2006.16236; Schlag et al., arXiv 2102.11174"
    )
    linear_only: ClassVar[str] = WHY_LINEAR_ONLY

    @property
    def narrowest(self) -> int:
        return self.feature_map.narrowest

    def warnings(self, qk_std: float) -> tuple[str, ...]:
        found = [self.feature_map.without_effect]
        if self.normalize and self.feature_map.homogeneous and qk_std not in (0, 1):
            found.append(
                f"qk_std = {qk_std:g} has no effect: normalised linear attention with feature map "
                f'"{self.feature_map.name()}" is the same for every qk_std but 0'
            )
        if not self.normalize:
            found.append(
                "linear attention that is not normalised is a high power of its input: networks of "
                "ordinary width are far from this limit, and stacks of it can leave the range of "
                "float32; normalize it, put layer_norm before it, or ask for float64"
            )
        return tuple(warning for warning in found if warning is not None)

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        correlation, norms = self.feature_map.kernel(logits)
        if not self.normalize:
            return Mixing(_seen(correlation * norms[:, None] * norms[None, :], visible))
        # A row's own norm divides out; those of the keys are taken as shares of the largest.
        largest = norms.max()
        shares = norms / jnp.where(largest > 0, largest, 1)
        return Mixing(_normalised(_seen(correlation * shares[None, :], visible)))

    def finite_mixing(
        self,
        queries: Array,
        keys: Array,
        visible: Array | None,
        scale: Array | float,
        numbers: Numbers,
    ) -> Array:
        import jax.numpy as jnp

        seen, offered = self.feature_map.features(queries), self.feature_map.features(keys)
        weights = _seen(jnp.matmul(seen, offered.T) / seen.shape[1], visible)
        return _normalised(weights) if self.normalize else weights


def _seen(weights: Array, visible: Array | None) -> Array:
    import jax.numpy as jnp

    return weights if visible is None else jnp.where(visible, weights, 0)


def _normalised(weights: Array) -> Array:
    """Rows over their sums; a row of zeros stays one, as a network with an epsilon has it."""
    import jax.numpy as jnp

    total: Any = weights.sum(1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)
