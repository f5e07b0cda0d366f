"""Short names for layers, and inputs with awkward masks, for the tables of the kernel tests."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Layer = dict[str, Any]

RELU, ABS, GELU, ERF = ({"type": kind} for kind in ("relu", "abs", "gelu", "erf"))
FLATTEN, POOL, SUM_POOL = (
    {"type": kind} for kind in ("flatten", "global_avg_pool", "global_sum_pool")
)
LAYER_NORM: Layer = {"type": "layer_norm"}
SPATIAL_NORM: Layer = {"type": "layer_norm", "axes": ["channel", "spatial"]}


def dense(w_std: float = 1.2, b_std: float = 0.3) -> Layer:
    """A dense layer."""
    return {"type": "dense", "w_std": w_std, "b_std": b_std}


def conv(*window: int, **parameters: Any) -> Layer:
    """A convolution with a bias."""
    return {"type": "conv", "window": list(window), "w_std": 1.3, "b_std": 0.2, **parameters}


def avg_pool(*window: int, **parameters: Any) -> Layer:
    """An average pool."""
    return {"type": "avg_pool", "window": list(window), **parameters}


def attention(mechanism: str | dict[str, Any] = "softmax", **parameters: Any) -> Layer:
    """An attention layer with a bias and a gain other than one."""
    return {
        "type": "attention",
        "mechanism": mechanism,
        "qk_std": 1.4,
        "ov_std": 0.8,
        "b_std": 0.2,
        **parameters,
    }


def parallel(*branches: list[Layer]) -> Layer:
    """A sum of branches."""
    return {"type": "parallel", "branches": list(branches), "merge": "sum"}


def product(*branches: list[Layer]) -> Layer:
    """A product of branches."""
    return {**parallel(*branches), "merge": "product"}


def concat(*branches: list[Layer]) -> Layer:
    """Branches side by side."""
    return {**parallel(*branches), "merge": "concat"}


def repeat(times: int, *layers: Layer) -> Layer:
    """Layers several times over."""
    return {"type": "repeat", "times": times, "layers": list(layers)}


def positional(merge: str, decay: str | None = None, **parameters: Any) -> dict[str, Any]:
    """Positional embeddings."""
    shape = {} if decay is None else {"decay": {"type": decay, "length": 1.7, "power": 0.9}}
    return {"merge": merge, "std": 0.8, **shape, **parameters}


def entries(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Normal inputs."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def masks(kind: str, shape: tuple[int, ...], seed: int = 0) -> Array | None:
    """A mask for inputs of `shape`: "none", "tail", "holes" or "one" (a single real position)."""
    if kind == "none":
        return None
    generator = np.random.default_rng([seed, 1, *shape])
    n, *grid = shape[:-1]
    size = int(np.prod(grid))
    mask = np.zeros((n, size), bool)
    for row in mask:
        if kind == "tail":
            row[: generator.integers(1, size + 1)] = True
        elif kind == "holes":
            row[generator.permutation(size)[: generator.integers(1, size + 1)]] = True
        else:
            row[generator.integers(size)] = True
    return mask.reshape(n, *grid)
