"""Kernel ridge regression: f(x) = K(x, X) (K(X, X) + diag_reg I)^-1 y, a mean without a variance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.predict.factor import Factor

Array = npt.NDArray[np.float64]


def dual_weights(factor: Factor, targets: Array) -> Array:
    """(K + diag_reg I)^-1 y, (n, k): what a prediction is linear in."""
    return factor.solve(targets)


def predict(cross: Array, weights: Array) -> Array:
    """f(x), (m, k), from K(x, X) (m, n) and the dual weights (n, k)."""
    return cross @ weights
