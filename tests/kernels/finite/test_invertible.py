"""Residual blocks that are inverted, and what is said when they are not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.errors import NumericsError
from kernels.finite.invertible import ResidualBlock
from kernels.finite.l2_attention import dot_product_attention, draw_weights, l2_attention
from kernels.finite.lipschitz import lipschitz_bounds, norms_of


def l2_block(dtype: str, contraction: float = 0.9, length: int = 10) -> ResidualBlock:
    weights = draw_weights(jax.random.key(0), 6, 2, dtype=dtype)
    bound = lipschitz_bounds(norms_of(*(np.asarray(w) for w in weights)), length).two
    return ResidualBlock(partial(l2_attention, weights), bound, contraction)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
def test_what_goes_in_comes_out(dtype: str, tolerance: float, scale: float) -> None:
    with jax.enable_x64(dtype == "float64"):
        block = l2_block(dtype)
        x = scale * jax.random.normal(jax.random.key(1), (10, 6), dtype)
        found = jax.jit(lambda y: block.invert(y, tolerance))(block.apply(x))
        assert bool(found.converged)
        size = float(jnp.linalg.norm(x))
        assert float(jnp.linalg.norm(found.x - x)) <= float(found.error) + 10 * tolerance * size
        np.testing.assert_allclose(block.inverse(block.apply(x), tolerance), found.x)


def test_iterations_come_as_close_as_banach_says() -> None:
    """A linear f whose Lipschitz bound is sharp: the error is c^n exactly, and the bound no less."""
    with jax.enable_x64(True):
        block = ResidualBlock(lambda x: 5 * x, 5.0, 0.5)
        x = jnp.array([[1.0, -2.0]])
        for n in (1, 4, 9):
            found = block.invert(block.apply(x), 0.0, n)
            error = float(jnp.linalg.norm(found.x - x))
            assert int(found.iterations) == n
            assert error == pytest.approx(0.5 ** (n + 1) * 5**0.5, rel=1e-12)
            assert error <= float(found.error)
            assert not bool(found.converged)


def test_a_block_that_is_no_contraction_says_so() -> None:
    weights = draw_weights(jax.random.key(0), 6, 2)
    block = ResidualBlock(partial(dot_product_attention, weights), 0.02, 1.5)
    y = 20 * jax.random.normal(jax.random.key(1), (10, 6))
    found = block.invert(y, most=200)
    assert not bool(found.converged)
    assert float(found.error) == float("inf")
    with pytest.raises(NumericsError, match=r"after 200 iterations.*not below 1"):
        block.inverse(y, most=200)


def test_what_is_not_a_number_has_not_converged() -> None:
    block = ResidualBlock(lambda x: x / 0, 1.0)
    found = block.invert(jnp.zeros((2, 2)), most=5)
    assert not bool(found.converged)
    with pytest.raises(NumericsError, match="residual nan after 5"):
        block.inverse(jnp.zeros((2, 2)), most=5)


@pytest.mark.parametrize(
    "numbers", [(0.0, 0.5), (float("inf"), 0.5), (1.0, 0.0), (1.0, float("nan"))]
)
def test_bad_numbers_are_refused(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        ResidualBlock(lambda x: x, *numbers)
