"""The layer that docs/adding-a-layer.md adds is one: it parses, and its dual is right."""

import importlib
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture
def square(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class that the page's block of code defines, from a file of its own."""
    page = (root / "docs" / "adding-a-layer.md").read_text()
    (tmp_path / "square_layer.py").write_text(page.split("```python\n")[1].split("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("square_layer").Square
    del sys.modules["square_layer"]


def test_its_dual_is_the_mean_over_samples(square: Any) -> None:
    layer = square(a=0.7)
    structure, numbers = layer.split()
    cov = np.array([[1.3, 0.6], [0.6, 0.9]])
    u, v = np.random.default_rng(0).multivariate_normal(np.zeros(2), cov, 200_000).T
    value, slope = structure.dual(numbers, *(jnp.asarray(c) for c in (1.3, 0.9, 0.6)), False)

    def derivative(x: np.ndarray) -> np.ndarray:
        gradient = jax.grad(lambda point: structure.function(numbers, point))
        return np.asarray(jax.vmap(gradient)(jnp.asarray(x)))

    for exact, samples in (
        (value, structure.function(numbers, u) * structure.function(numbers, v)),
        (slope, derivative(u) * derivative(v)),
    ):
        error = np.std(samples) / np.sqrt(samples.size)
        assert abs(float(exact) - np.mean(samples)) < 5 * error


def test_it_has_what_the_registry_shows(square: Any) -> None:
    assert square.name() == "square"
    assert square().canonical() == {"type": "square", "a": 1.0}
    assert square.model_json_schema()["properties"]["a"]["type"] == "number"
    assert square.equation
    assert square.source
