"""A kernel for scikit-learn's Gaussian processes, support vector machines and kernel ridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.gaussian_process import kernels as gaussian_process

from gramd.sklearn.service import float64_kernel, network_of


class Kernel(gaussian_process.Kernel):
    """K(X, Y) of an infinitely wide network, without hyperparameters to optimise.

    It goes into GaussianProcessRegressor(kernel), KernelRidge(kernel=kernel) and SVC(kernel=kernel).

    network: `gramd.spec.network(...)` or its JSON; one hidden layer of ReLU if left out.
    kind: "nngp" or "ntk".
    input_shape: of one input, (T, d), (H, W, C) or (D, H, W, C); scikit-learn's rows are
        flat, (n, T * d).
    dtype: "float64", or "float32" where no matrix is inverted.
    method: `gramd.spec.method`: the closed form if left out.
    url: of the service; GRAMD_URL if left out.
    """

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        kind: str = "nngp",
        input_shape: Sequence[int] | int | None = None,
        dtype: str = "float64",
        method: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        self.network = network
        self.kind = kind
        self.input_shape = input_shape
        self.dtype = dtype
        self.method = method
        self.url = url

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """K(X, Y), (n1, n2) float64; with `eval_gradient` also its gradient, (n, n, 0)."""
        if eval_gradient and Y is not None:
            raise ValueError("the gradient is that of K(X, X): leave Y out")
        # One and the same array is one side: half the work, and exact symmetry.
        matrix = float64_kernel(self, X, None if Y is X else Y)
        return (matrix, np.empty((*matrix.shape, 0))) if eval_gradient else matrix

    def diag(self, X: Any) -> Any:
        """The diagonal of K(X, X), (n), without the rest of it."""
        return float64_kernel(self, X, None, "diagonal")

    def is_stationary(self) -> Any:
        """Networks see where their inputs are."""
        return False

    def __repr__(self) -> str:
        layers = [layer.get("type") for layer in network_of(self.network)["layers"]]
        return f"Kernel({self.kind} of {', '.join(map(str, layers))})"
