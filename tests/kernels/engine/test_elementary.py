"""The elementary functions that rules use, compiled as tiles are, against NumPy and SciPy.

XLA compiles some function wrongly for registers as wide as ours (jnp.arctan in JAX 0.10.2 is off by
2): one that a rule begins to use belongs here first.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from kernels.engine.compiled import COMPILER_OPTIONS

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "arccos": (lambda x: jnp.arccos(jnp.tanh(x)), lambda x: np.arccos(np.tanh(x))),
    "arctan2": (lambda x: jnp.arctan2(x, 1 - x), lambda x: np.arctan2(x, 1 - x)),
    "arctan": (lambda x: jnp.arctan2(x, jnp.ones_like(x)), np.arctan),
    "cos": (jnp.cos, np.cos),
    "sin": (jnp.sin, np.sin),
    "cosh": (jnp.cosh, np.cosh),
    "sinh": (jnp.sinh, np.sinh),
    "tanh": (jnp.tanh, np.tanh),
    "exp": (jnp.exp, np.exp),
    "log": (lambda x: jnp.log(jnp.abs(x)), lambda x: np.log(np.abs(x))),
    "log1p": (lambda x: jnp.log1p(jnp.abs(x)), lambda x: np.log1p(np.abs(x))),
    "sqrt": (lambda x: jnp.sqrt(jnp.abs(x)), lambda x: np.sqrt(np.abs(x))),
    "power": (lambda x: jnp.abs(x) ** 1.7, lambda x: np.abs(x) ** 1.7),
    "hypot": (lambda x: jnp.hypot(x, 1 - x), lambda x: np.hypot(x, 1 - x)),
    "sign": (jnp.sign, np.sign),
    "erf": (jax.scipy.special.erf, special.erf),
    "sigmoid": (jax.nn.sigmoid, special.expit),
    "softplus": (jax.nn.softplus, lambda x: np.logaddexp(x, 0)),
    "elu": (jax.nn.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_what_numpy_says(name: str, dtype: str) -> None:
    ours, theirs = PAIRS[name]
    with jax.enable_x64(dtype == "float64"):
        compiled = jax.jit(ours, compiler_options=COMPILER_OPTIONS)
        for size in (5, 16, 67, 1024):
            x = (np.random.default_rng(size).normal(size=size) * 2).astype(dtype)
            expected = theirs(x.astype("float64"))
            epsilon = np.finfo(dtype).eps
            np.testing.assert_allclose(
                np.asarray(compiled(x)), expected, rtol=64 * epsilon, atol=64 * epsilon
            )
