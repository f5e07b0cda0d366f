"""FAVOR+: softmax attention estimated by random features, kept as two thin factors.

With C = L L^T the logits of one input, exp(L_i . L_j) is a mean over Gaussian directions w of
products f_w(L_i) g_w(L_j), so m directions give softmax(C) as a product of (T, m) matrices. L is
the symmetric square root of C, which no choice enters, and the directions are drawn from the seed
and the number T of positions alone.

A(x) is thus a function of x, as every mixing matrix is, and kernels are positive semidefinite. They
are those of softmax in the limit of many features, and so is the network of finite width: one in
which each head draws features of its own is another model.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing, deviation, of_factors
from kernels.mechanisms.softmax import Softmax, softmax_rows
from kernels.spec.exactness import Exactness
from kernels.spec.model import Count, Numbers, Seed

if TYPE_CHECKING:
    from jax import Array


class Performer(Mechanism):
    """A seeded random-feature estimate of softmax, in low-rank form: A = D^-1 Q F^T.

    `features` counts the columns of Q and F, on which the cost depends: the hyperbolic and
    trigonometric variants have two of them a direction.
    """

    type: Literal["performer"] = "performer"
    features: Annotated[Count, Field(le=16384)] = 256
    orthogonal: bool = True
    variant: Literal["positive", "hyperbolic", "trigonometric"] = "positive"
    centre: bool = True
    seed: Seed = 0

    equation: ClassVar[str] = (
        "A = D^-1 Q F^T, D the row sums, G = L L^T, l_i = L_i - mu (mu = mean of L, or 0); "
        "Q_iw = f_w(l_i), F_jw = f_w(l_j) exp(mu . L_j), one column or two for each direction w; "
        "positive: f_w(l) = exp(w . l - |l|^2 / 2); "
        "hyperbolic: f_w(l) = [exp(w . l), exp(-w . l)] exp(-|l|^2 / 2); "
        "trigonometric: f_w(l) = [sin(w . l), cos(w . l)] exp(|l|^2 / 2)"
    )
    source: ClassVar[str] = "Choromanski et al., arXiv 2009.14794"
    exactness: ClassVar[Exactness] = "approximate"
    linear_only: ClassVar[str] = "its features stand for logits that are not random"

    @model_validator(mode="after")
    def _pairs_of_features(self) -> Self:
        if self.variant != "positive" and self.features % 2:
            raise ValueError(
                f"the {self.variant} variant has two features a direction: expected an even "
                f"number of features, got {self.features}"
            )
        return self

    @property
    def trims(self) -> bool:
        return False  # the directions have as many entries as the input has positions

    def warnings(self, qk_std: float) -> tuple[str, ...]:
        if self.variant != "trigonometric":
            return ()
        warning = (
            "trigonometric performer features give weights of either sign, whose sum over a row "
            "can be nearly 0 where logits are large: see error_estimate in the receipt, or take "
            'variant "positive"'
        )
        return (warning,)

    def causal_warnings(self) -> tuple[str, ...]:
        warning = (
            "a causal performer's mixing matrix is not of low rank: it is computed as a dense "
            'matrix and saves nothing over mechanism "softmax", which is exact'
        )
        return (warning,)

    def factor_columns(self, causal: bool) -> int | None:
        return None if causal else self.features

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        queries, keys, least = self._factors(logits, visible)
        total = jnp.matmul(queries, keys.sum(0))
        write = queries / _divisor(total, least)[:, None]
        return of_factors(write, keys.T, softmax_rows(logits, visible), visible)

    def causal_mixing(self, logits: Array, visible: Array, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        queries, keys, least = self._factors(logits, visible)
        products = jnp.where(visible, jnp.matmul(queries, keys.T), 0)
        weights = products / _divisor(products.sum(1), least)[:, None]
        return Mixing(weights, error=deviation(weights, softmax_rows(logits, visible), visible))

    def _factors(self, logits: Array, visible: Array | None) -> tuple[Array, Array, Array | None]:
        """Q and F, each (T, m), and what row sums of Q F^T cannot be less than, (T,) or None.

        Constants that cancel in a row (of each query, and one of all keys) are taken out, so that
        nothing overflows.
        """
        import jax.numpy as jnp

        size = len(logits)
        count = self.features if self.variant == "positive" else self.features // 2
        drawn = directions(count, size, self.seed, self.orthogonal)
        w = jnp.asarray(drawn, logits.dtype)
        real = jnp.ones(size, bool) if visible is None else jnp.diagonal(visible)
        root = _symmetric_root(jnp.where(real[:, None] & real[None, :], logits, 0))
        lift = jnp.zeros(size, logits.dtype)
        if self.centre:
            mean = root.sum(0) / jnp.maximum(real.sum(), 1)
            lift = jnp.matmul(root, mean)
            root = root - mean[None, :]
        projected = jnp.matmul(root, w.T)
        half = (root * root).sum(1) / 2
        if self.variant == "trigonometric":
            waves = jnp.concatenate([jnp.sin(projected), jnp.cos(projected)], axis=1)
            growth = half + lift
            own = jnp.where(real, jnp.exp(growth - _largest(growth, real)), 0)
            # A row's exact sum is at least its own term, in which no direction has a part; where
            # that is below the rounding of the others, the row is lost, but it stays finite.
            least = jnp.maximum(own, jnp.finfo(logits.dtype).eps * own.sum())
            return waves, own[:, None] * waves, count * least
        if self.variant == "hyperbolic":
            projected = jnp.concatenate([projected, -projected], axis=1)
        exponents = projected - half[:, None]
        queries = jnp.exp(exponents - exponents.max(1, keepdims=True))
        exponents = exponents + lift[:, None]
        keys = jnp.exp(exponents - _largest(exponents, real[:, None]))
        return queries, jnp.where(real[:, None], keys, 0), None

    def approximated(self) -> Mechanism:
        return Softmax()


@lru_cache(maxsize=16)
def directions(count: int, size: int, seed: int, orthogonal: bool) -> npt.NDArray[np.float64]:
    """Random directions, (count, size), each of them N(0, I) and drawn from `seed` alone.

    Orthogonal ones come in blocks of `size`: QR of a Gaussian matrix with positive diagonal, then
    norms of a further Gaussian matrix, so that every row keeps its distribution.
    """
    generator = np.random.default_rng(seed)
    if not orthogonal:
        return generator.standard_normal((count, size))
    blocks: list[npt.NDArray[Any]] = []
    for _ in range(-(-count // size)):
        q, r = np.linalg.qr(generator.standard_normal((size, size)))
        blocks.append((q * np.sign(np.diagonal(r))[None, :]).T)
    norms = np.linalg.norm(generator.standard_normal((count, size)), axis=1)
    return np.concatenate(blocks)[:count] * norms[:, None]


def _symmetric_root(cov: Array) -> Array:
    """L with L L = cov, symmetric and positive semidefinite, (T, T).

    Eigenvalues that are rounding (as those beyond the channels of raw inputs are) count as 0:
    their roots would be no rounding any more, but 1e-4 of the largest in float32.
    """
    import jax.numpy as jnp

    values, vectors = jnp.linalg.eigh((cov + cov.T) / 2)
    least = len(cov) * jnp.finfo(cov.dtype).eps * jnp.abs(values).max()
    roots = jnp.sqrt(jnp.where(values > least, values, 0))
    return jnp.matmul(vectors * roots[None, :], vectors.T)


def _largest(exponents: Array, real: Array) -> Array:
    """The largest exponent of a real position, (); finite even where there is none."""
    import jax.numpy as jnp

    lowest = jnp.finfo(exponents.dtype).min
    return jnp.where(real, exponents, lowest).max()


def _divisor(total: Array, least: Array | None) -> Array:
    """What rows are divided by, (T,): their sums, but never 0 nor less than they can be."""
    import jax.numpy as jnp

    total = total if least is None else jnp.maximum(total, least)
    return jnp.where(total > 0, total, 1)
