"""A mixing matrix in two thin factors acts as the matrix itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.mechanisms.mixing import (
    Mixing,
    congruence_diagonal,
    congruences,
    of_factors,
)

Array = np.ndarray[Any, Any]


def factors(size: int, rank: int, seed: int, dtype: str) -> tuple[Mixing, Array]:
    """A mixing matrix of `rank` columns (0: dense), and what it is."""
    random = np.random.default_rng(seed)
    if rank == 0:
        dense = random.normal(size=(size, size)).astype(dtype)
        return Mixing(jnp.asarray(dense)), dense
    write, read = random.normal(size=(size, rank)), random.normal(size=(rank, size))
    made = Mixing(jnp.asarray(read, dtype), jnp.asarray(write, dtype))
    return made, (write @ read).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rank1", "rank2"), [(2, 3), (0, 2), (3, 0), (0, 0)])
def test_factors_act_as_the_matrix(rank1: int, rank2: int, dtype: str) -> None:
    close = {"rtol": 1e-12, "atol": 1e-12} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-4}
    with jax.enable_x64(dtype == "float64"):
        (left, a), (right, b) = factors(6, rank1, 0, dtype), factors(5, rank2, 1, dtype)
        random = np.random.default_rng(2)
        one, two = random.normal(size=(2, 6, 5)).astype(dtype)
        both = congruences(left, [jnp.asarray(one), jnp.asarray(two)], right, identical=False)
        for found, k in zip(both, (one, two), strict=True):
            np.testing.assert_allclose(found, a @ k @ b.T, **close)
            (alone,) = congruences(left, [jnp.asarray(k)], right, identical=False)
            np.testing.assert_allclose(alone, a @ k @ b.T, **close)
        square = one[:5]
        small = factors(5, rank1, 3, dtype)
        np.testing.assert_allclose(
            congruence_diagonal(small[0], jnp.asarray(square), right),
            np.diag(small[1] @ square @ b.T),
            **close,
        )
        weights = random.normal(size=6).astype(dtype)
        np.testing.assert_allclose(left.adjoint(jnp.asarray(weights)), a.T @ weights, **close)
        np.testing.assert_allclose(left.rows(jnp.asarray(one)), a @ one, **close)
        real = np.array([True, False, True, True, False, True])
        masked = left.of_queries(jnp.asarray(real))
        np.testing.assert_allclose(masked.dense(), np.where(real[:, None], a, 0), **close)


@pytest.mark.parametrize("rank", [1, 4, 7, 12])
def test_factors_are_kept_where_they_save_work(rank: int) -> None:
    random = np.random.default_rng(0)
    write, read = random.normal(size=(8, rank)), random.normal(size=(rank, 8))
    exact = random.normal(size=(8, 8))
    visible = np.broadcast_to(np.arange(8) != 3, (8, 8))
    made = of_factors(
        jnp.asarray(write), jnp.asarray(read), jnp.asarray(exact), jnp.asarray(visible)
    )
    assert (made.write is not None) == (rank * (8 + rank) < 64)
    np.testing.assert_allclose(made.dense(), write @ read, rtol=1e-4, atol=1e-4)
    # The row of a masked query does not count.
    rows = np.delete(np.abs(write @ read - exact).sum(1), 3)
    assert made.error is not None
    np.testing.assert_allclose(made.error, rows.max(), rtol=1e-5)
