"""The posterior of a Gaussian process with zero mean.

With C = K(X, X) + diag_reg I, where diag_reg is the variance of the noise in the targets y:

    mean(x)       = K(x, X) C^-1 y
    cov(x, x')    = K(x, x') - K(x, X) C^-1 K(X, x')
    log p(y | X)  = -y^T C^-1 y / 2 - log det(C) / 2 - n log(2 pi) / 2, summed over outputs

of the function itself: the noise of a new target would add diag_reg to its variance (Rasmussen and
Williams 2006, eq. 2.23 to 2.30). Outputs are independent and share one covariance.

A prior of another scale, s K with the noise s diag_reg, has the same mean and s times the covariance.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kernels.predict.factor import Factor

Array = npt.NDArray[np.float64]


def log_marginal_likelihood(
    factor: Factor, weights: Array, targets: Array, scale: float = 1.0
) -> float:
    """log p(y | X), in nats, the sum over outputs.

    Args:
        factor: of C.
        weights: C^-1 y, (n, k).
        targets: y, (n, k).
        scale: what kernel and noise are multiplied by.
    """
    n, outputs = targets.shape
    fit = -0.5 * float(np.sum(targets * weights)) / scale
    return fit - 0.5 * outputs * (factor.log_determinant + n * math.log(2 * math.pi * scale))


def posterior_variance(factor: Factor, cross: Array, prior: Array) -> Array:
    """cov(x, x), (m,); rounding can make it slightly negative, and does so visibly.

    Args:
        factor: of C.
        cross: K(x, X), (m, n).
        prior: K(x, x), (m,).
    """
    half = factor.half(cross.T)
    return prior - np.einsum("nm,nm->m", half, half)


def posterior_covariance(factor: Factor, cross: Array, prior: Array) -> Array:
    """cov(x, x'), (m, m), exactly symmetric.

    Args:
        factor: of C.
        cross: K(x, X), (m, n).
        prior: K(x, x'), (m, m).
    """
    half = factor.half(cross.T)
    covariance = prior - half.T @ half
    return (covariance + covariance.T) / 2
