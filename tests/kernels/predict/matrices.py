"""Real kernels of random inputs, and scikit-learn's view of precomputed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import Kernel

from kernels.matrix import kernel_matrix

ERF: dict[str, Any] = {
    "layers": [
        {"type": "dense", "w_std": 1.5, "b_std": 0.3},
        {"type": "erf"},
        {"type": "dense", "w_std": 1.2, "b_std": 0.1},
    ]
}


def kernels_of(n: int, m: int, seed: int = 0, channels: int = 4) -> tuple[np.ndarray, ...]:
    """x (n + m, channels), and nngp and ntk of all of it, (n + m, n + m)."""
    x = np.random.default_rng(seed).standard_normal((n + m, channels))
    found = kernel_matrix(ERF, x, dtype="float64")
    return x, found["nngp"], found["ntk"]


class Precomputed(Kernel):
    """A matrix as scikit-learn's kernel: inputs are row numbers, (n, 1)."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def __call__(self, X, Y=None, eval_gradient=False):
        rows = X[:, 0].astype(int)
        cols = rows if Y is None else Y[:, 0].astype(int)
        return self.matrix[np.ix_(rows, cols)]

    def diag(self, X):
        return np.diagonal(self.matrix)[X[:, 0].astype(int)].copy()

    def is_stationary(self) -> bool:
        return False
