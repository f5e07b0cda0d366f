"""The elementary functions that rules use, compiled as tiles are, against NumPy and SciPy.

XLA compiles some functions wrongly for registers as wide as ours (jnp.arctan and jnp.arccos in
JAX 0.10.2 are off by 2): one that a rule begins to use belongs here first.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import kernels
from kernels.compiler_options import COMPILER_OPTIONS, QUICKLY

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "arctan2": (lambda x: jnp.arctan2(x, 1 - x), lambda x: np.arctan2(x, 1 - x)),
    "arctan": (lambda x: 2 * jnp.arctan2(x, 1 + jnp.hypot(1.0, x)), np.arctan),
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
    # Inside it is what normal weights are drawn by.
    "erfinv": (
        lambda x: jax.scipy.special.erfinv(jnp.tanh(x) * 0.99),
        lambda x: special.erfinv(np.tanh(x) * 0.99),
    ),
    "erf": (jax.scipy.special.erf, special.erf),
    "sigmoid": (jax.nn.sigmoid, special.expit),
    "softplus": (jax.nn.softplus, lambda x: np.logaddexp(x, 0)),
    "elu": (jax.nn.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
}


def test_no_rule_uses_what_is_compiled_wrongly() -> None:
    folder = Path(kernels.__file__).parent
    wrong = re.compile(r"jnp\.(arctan|arccos|arcsin|atan|acos|asin)\b")
    found = [path.name for path in folder.rglob("*.py") if wrong.search(path.read_text())]
    assert not found


@pytest.mark.parametrize(
    "options", [COMPILER_OPTIONS, COMPILER_OPTIONS | QUICKLY], ids=["", "quickly"]
)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_what_numpy_says(name: str, dtype: str, options: dict[str, Any]) -> None:
    ours, theirs = PAIRS[name]
    with jax.enable_x64(dtype == "float64"):
        compiled = jax.jit(ours, compiler_options=options)
        for size in (5, 16, 67, 1024):
            x = (np.random.default_rng(size).normal(size=size) * 2).astype(dtype)
            expected = theirs(x.astype("float64"))
            epsilon = np.finfo(dtype).eps
            np.testing.assert_allclose(
                np.asarray(compiled(x)), expected, rtol=64 * epsilon, atol=64 * epsilon
            )
