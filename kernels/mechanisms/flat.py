"""A(x) K A(x')^T where all queries attend to nearly the same: exact in what they share, rounded in the rest.

Let r be the sums of A's rows (1, or 0 for masked queries), m their mean and E = A - r m^T, and the same of x'.
As E 1 = 0,

    A K A'^T = r (A' p)^T + (A q - s r) r'^T + E K~ E'^T,
    p = K^T m,  q = K m',  s = m^T K m',  K~ = K - q 1^T - 1 p^T + s.

Only the last term, the interaction of queries of x with queries of x', takes products of matrices. Where
attention is flat it is small, 1e-5 of the whole for film reviews, and eight bits of it are more than
float32 keeps of the sum: it is computed in bfloat16, which takes half the time on processors that
multiply it. Whether it is small enough is looked at for each pair of inputs, and all is computed in
float32 where it is not. docs/accuracy.md has the limits, docs/performance.md what it saves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from jax import Array

FEWEST: Final = 96
"""Positions from which on products of matrices take enough of the time."""

_ROUNDING: Final = 2.0**-8
"""Error of the interaction, a part of it, root mean squares over all entries: four roundings of at most 2^-9
each. It is a quarter to a half of this where they are independent, and more where positions repeat each
other, and so do their roundings (tests/kernels/mechanisms/test_flat.py)."""

_TOLERATED: Final = 2.0**-19
"""Of that error, a part of the kernel's scale. Where attention is flat, float32 products of 500 positions
are off by a fifth of it."""

_TOLERATED_OF_ANGLE: Final = 2.0**-16
"""Of that error, a part of the sine between both inputs, on which the derivatives' kernels depend."""

_HOPELESS: Final = 2.0**-10
"""Sharpness of x times that of x' above which the interaction is hardly ever small enough."""

_LEAST: Final = 2.0**-25
"""Tolerance below which it is not, either: inputs that are all but the same."""


class Flat(NamedTuple):
    """What an input keeps of its mixing matrix for products of this kind.

    Attributes:
        sums: r, of A's rows, (P,).
        mean: m, the mean of A's rows, (P,).
        rest: E^T, what each row has beside it, (P, P) in bfloat16.
        queries: r^T r, how many rows are not zero, ().
        sharpness: how far rows are from their mean, root mean square, ().
        deviation: the root of m^T K(x, x) m: of a query that attends as all do on average, ().
    """

    sums: Array
    mean: Array
    rest: Array
    queries: Array
    sharpness: Array
    deviation: Array

    @classmethod
    def of(cls, weights: Array, k: Array) -> Flat:
        """From A and K(x, x), (P, P) each."""
        import jax.numpy as jnp

        sums = weights.sum(1)
        queries = jnp.vdot(sums, sums)
        queries = jnp.where(queries > 0, queries, 1)
        mean = jnp.matmul(sums, weights) / queries
        rest = weights - sums[:, None] * mean[None, :]
        return cls(
            sums,
            mean,
            rest.T.astype(jnp.bfloat16),
            queries,
            jnp.sqrt(jnp.vdot(rest, rest) / queries),
            jnp.sqrt(jnp.maximum(jnp.matmul(jnp.matmul(mean, k), mean), 0)),
        )


def congruences_if_flat(
    sides: tuple[Array, Array],
    facts: tuple[Flat, Flat],
    kernels: Array,
    otherwise: Callable[[], Array],
) -> Array:
    """A(x) k A(x')^T of each kernel k, (P, kernels, P').

    Args:
        sides: A(x), (P, P), and A(x'), (P', P'), in float32.
        facts: what x and x' keep of them.
        kernels: (P, kernels, P'); the first has the scale of K.
        otherwise: computes the same where attention is not flat enough.
    """
    import jax.numpy as jnp
    from jax import lax

    left, right = facts

    def looked_at() -> tuple[Array, Array, Array, Array]:
        """The interactions, what the queries of x and of x' add, and whether that is good enough."""
        shared = _shared(sides, facts, kernels)
        interactions = _interactions(sides[0], facts, kernels, shared)
        flat = _small_enough(interactions, shared.s, facts)
        return interactions, shared.by_query, shared.by_other, flat

    def nothing() -> tuple[Array, Array, Array, Array]:
        size, count, other = kernels.shape
        zeros = partial(jnp.zeros, dtype=kernels.dtype)
        return zeros(kernels.shape), zeros((size, count)), zeros((count, other)), jnp.array(False)

    hopeful = left.sharpness * right.sharpness < _HOPELESS
    interactions, by_query, by_other, flat = lax.cond(hopeful, looked_at, nothing)

    def together() -> Array:
        of_queries = by_query[:, :, None] * right.sums[None, None, :]
        return interactions + of_queries + left.sums[:, None, None] * by_other[None, :, :]

    return lax.cond(flat, together, otherwise)


def _small_enough(interactions: Array, s: Array, facts: tuple[Flat, Flat]) -> Array:
    """Whether the error of the interactions is tolerated, () bool."""
    import jax.numpy as jnp

    left, right = facts
    variance = left.deviation * right.deviation
    cosine = s[0] / variance
    sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, 0))
    tolerated = jnp.minimum(_TOLERATED, _TOLERATED_OF_ANGLE * sine)
    scales = jnp.maximum(variance, jnp.abs(s))
    squares = ((interactions / scales[None, :, None]) ** 2).sum((0, 2)).max()
    error = _ROUNDING * jnp.sqrt(squares / (left.queries * right.queries))
    # What is not a number is not below anything: it is computed in float32, and found there.
    return (tolerated > _LEAST) & (error <= tolerated)


class _Shared(NamedTuple):
    """All of A K A'^T but the interaction, of each kernel.

    Attributes:
        p: K^T m, (kernels, P').
        q: K m', (P, kernels).
        s: m^T K m', (kernels,).
        by_query: A q - s r = A (q - s), (P, kernels), of each query of x.
        by_other: A' p = A' (p - s) + s r', (kernels, P'), of each query of x'.
    """

    p: Array
    q: Array
    s: Array
    by_query: Array
    by_other: Array


def _shared(sides: tuple[Array, Array], facts: tuple[Flat, Flat], kernels: Array) -> _Shared:
    from jax.numpy import matmul

    left, right = facts
    size, count, other = kernels.shape
    p = matmul(left.mean, kernels.reshape(size, -1)).reshape(count, other)
    q = matmul(kernels.reshape(-1, other), right.mean).reshape(size, count)
    s = matmul(p, right.mean)
    # Differences first: they are small, and so is then what their products round.
    by_query = matmul(sides[0], q - s[None, :])
    by_other = matmul(sides[1], (p - s[:, None]).T).T + s[:, None] * right.sums[None, :]
    return _Shared(p, q, s, by_query, by_other)


def _interactions(
    weights: Array, facts: tuple[Flat, Flat], kernels: Array, shared: _Shared
) -> Array:
    """E K~ E'^T of each kernel, (P, kernels, P')."""
    import jax.numpy as jnp

    left, right = facts
    size, _, other = kernels.shape
    rest = (weights - left.sums[:, None] * left.mean[None, :]).astype(jnp.bfloat16)
    centred = kernels - shared.q[:, :, None] - (shared.p - shared.s[:, None])[None, :, :]
    wide = _added_up(rest, centred.astype(jnp.bfloat16).reshape(size, -1))
    tall = wide.reshape(-1, other).astype(jnp.bfloat16)
    return _added_up(tall, right.rest).reshape(kernels.shape)


def _added_up(one: Array, two: Array) -> Array:
    """The product of two matrices of bfloat16, in float32."""
    import jax.numpy as jnp

    return jnp.matmul(one, two, preferred_element_type=jnp.float32)
