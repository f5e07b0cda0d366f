"""Softmax attention compressed to a given rank: pivoted Cholesky of the exponentiated logits.

With d the diagonal of the logits C, exp(C_ij) = exp(d_i / 2) S_ij exp(d_j / 2) for
S_ij = exp(-(d_i + d_j - 2 C_ij) / 2), a positive semidefinite matrix of unit diagonal whatever the
scale of the logits, so that softmax is S with weighted columns and normalised rows. Cholesky steps
at pivots replace S by B B^T (Harbrecht, Peters & Schneider, Appl. Numer. Math. 2012); a common
component of the logits drops out of S, and centring them first would change nothing.

What a row of B B^T has less than the row of S is spread evenly over all keys, so that rows sum to 1
and none is divided by a sum that compression has left with next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.mechanisms.mixing import Mixing, of_factors
from kernels.mechanisms.softmax import softmax_rows

if TYPE_CHECKING:
    from jax import Array

_TIE = 1e-3
"""Logarithms of pivots that differ by less count as equal, and the first one is taken: rounding
must not decide, or A(x) would depend on the machine (unit diagonals are common: layer_norm)."""


def low_rank_softmax(logits: Array, visible: Array | None, rank: int) -> Mixing:
    """softmax(logits) as two factors, with its error.

    Args:
        logits: (T, T), symmetric and positive semidefinite.
        visible: the same real keys for every query, (T, T) bool; None if all.
        rank: columns of the factors, below T: one for what is missing, the others for pivots.
    """
    import jax.numpy as jnp

    size, dtype = len(logits), logits.dtype
    real = jnp.ones(size, bool) if visible is None else jnp.diagonal(visible)
    own = jnp.diagonal(logits)
    basis = _pivoted_cholesky(logits, own, real, rank - 1)
    # Row sums of S with its columns weighted by exp(d_j / 2), all less the largest weight.
    lowest = jnp.finfo(dtype).min
    heaviest = jnp.where(real, own, lowest).max() / 2
    keys = jnp.where(real, jnp.exp(own / 2 - heaviest), 0)
    peak = jnp.where(real[None, :], logits, lowest).max(1)
    terms = jnp.where(real[None, :], jnp.exp(logits - peak[:, None]), 0)
    # A sum so small that dividing by it could overflow is held up: its row is lost either way.
    exponent = jnp.log(terms.sum(1)) + peak - own / 2 - heaviest
    total = jnp.exp(jnp.maximum(exponent, jnp.log(jnp.finfo(dtype).tiny) * 0.9))
    # Nor by less than the compressed weights themselves, which may be of either sign, or than their
    # rounding: no entry of B B^T is above 1.
    read = basis * keys[None, :]
    total = jnp.maximum(total, jnp.abs(jnp.matmul(basis.T, read)).sum(1))
    total = jnp.maximum(total, 10 * rank * jnp.finfo(dtype).eps * keys.sum())
    write = basis.T / jnp.where(total > 0, total, 1)[:, None]
    missing = 1 - jnp.matmul(write, read.sum(1))
    even = jnp.where(real, 1 / jnp.maximum(real.sum(), 1), 0).astype(dtype)
    write = jnp.concatenate([write, missing[:, None]], axis=1)
    read = jnp.concatenate([read, even[None, :]])
    exact = softmax_rows(logits, visible)
    # As many real keys as columns, or fewer, have a column each, and nothing is compressed: not even
    # where padding made the input longer than the rank.
    columns = jnp.where(real, jnp.cumsum(real) - 1, rank)
    each = (columns[None, :] == jnp.arange(rank)[:, None]).astype(dtype)
    few = real.sum() <= rank
    write = jnp.where(few, jnp.matmul(exact, each.T), write)
    return of_factors(write, jnp.where(few, each, read), exact, visible)


def _pivoted_cholesky(logits: Array, own: Array, real: Array, steps: int) -> Array:
    """B^T of S ~ B B^T, (steps, T), rows zero once nothing but rounding is left.

    The next pivot is the largest entry on what is left of exp(C)'s diagonal.
    """
    import jax.numpy as jnp
    from jax import lax

    size, dtype = len(logits), logits.dtype
    # Rounding of an exponent is that of the logits in it.
    rounding = 8 * jnp.finfo(dtype).eps * (1 + jnp.where(real, jnp.abs(own), 0).max())

    def step(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, left = state
        score = jnp.where(left > rounding, jnp.log(left) + own, -jnp.inf)
        pivot = jnp.argmax(score >= score.max() - _TIE)
        apart = jnp.maximum(own + own[pivot] - 2 * logits[:, pivot], 0)
        column = jnp.where(real, jnp.exp(-apart / 2), 0) - jnp.matmul(basis[:, pivot], basis)
        live = left[pivot] > rounding
        row = jnp.where(live, column / jnp.sqrt(jnp.where(live, left[pivot], 1)), 0)
        left = jnp.maximum(left - row * row, 0).at[pivot].set(0)
        return basis.at[k].set(row), left

    start = jnp.zeros((steps, size), dtype), real.astype(dtype)
    return lax.fori_loop(0, steps, step, start)[0]
