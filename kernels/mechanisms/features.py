"""Feature maps phi of linear attention: phi(q) . phi(k) in place of exp(q . k).

relu and elu + 1: Katharopoulos et al., arXiv 2006.16236. DPFP: Schlag, Irie & Schmidhuber, "Linear
Transformers Are Secretly Fast Weight Programmers", arXiv 2102.11174, section 5.3. Random features of
exp are in `kernels.finite.favor`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kernels.errors import SpecError


def relu(x: Array) -> Array:
    """max(x, 0), (..., d) from (..., d)."""
    return jax.nn.relu(x)


def elu_plus_one(x: Array) -> Array:
    """1 + x where x > 0, else exp(x); (..., d) from (..., d)."""
    # The inner choice keeps exp, and its derivative, finite where it is not taken (a minimum would
    # have half the derivative at 0).
    return jnp.where(x > 0, 1 + x, jnp.exp(jnp.where(x > 0, 0, x)))


def dpfp(x: Array, nu: int = 1) -> Array:
    """Deterministic parameter-free projection: z_i z_(i+l) for l = 1..nu around the ring of
    z = relu([x, -x]).

    Args:
        x: (..., d).
        nu: from 1 to 2 d - 1; l = d would multiply relu(x) by relu(-x), so from d on some
            features are dead.

    Returns:
        (..., 2 d nu).

    Raises:
        SpecError: nu is out of range: the ring would meet itself.
    """
    if not 1 <= nu < 2 * x.shape[-1]:
        raise SpecError(
            f"dpfp: expected nu from 1 to {2 * x.shape[-1] - 1} for queries and keys of "
            f"{x.shape[-1]} channels, got {nu}; take a smaller nu, or wider heads"
        )
    z = jax.nn.relu(jnp.concatenate([x, -x], axis=-1))
    return jnp.concatenate([z * jnp.roll(z, -shift, -1) for shift in range(1, nu + 1)], axis=-1)
