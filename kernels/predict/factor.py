"""Cholesky factors of training kernels in float64; jitter, where it is needed, is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, get_lapack_funcs, solve_triangular

from kernels.errors import NumericsError

Array = npt.NDArray[np.float64]

JITTERS: Final = (0.0, *(10.0**exponent for exponent in range(-13, -2)))
"""What is tried, relative to the mean diagonal: from the rounding of float64 (2e-16, times the root
of a few thousand rows) past that of float32 (6e-8) to where the answer would be another one."""


@dataclass(frozen=True, eq=False)
class Factor:
    """L L^T = K + (diag_reg + jitter) I.

    Attributes:
        lower: L, (n, n), zero above the diagonal.
        diag_reg: what was asked for, absolute.
        jitter: what had to be added beside it, absolute; 0 where nothing had to.
        attempts: how many factorisations it took.
    """

    lower: Array
    diag_reg: float
    jitter: float
    attempts: int

    def half(self, b: Array) -> Array:
        """L^-1 b, of b (n, ...)."""
        return solve_triangular(self.lower, b, lower=True, check_finite=False)

    def solve(self, b: Array) -> Array:
        """(L L^T)^-1 b, of b (n, ...)."""
        return solve_triangular(
            self.lower, self.half(b), lower=True, trans=1, overwrite_b=True, check_finite=False
        )

    @property
    def log_determinant(self) -> float:
        """log det(L L^T)."""
        return 2 * float(np.log(np.diagonal(self.lower)).sum())

    def inverse_diagonal(self) -> Array:
        """The diagonal of (L L^T)^-1, (n,); twice the operations of the factorisation."""
        (potri,) = get_lapack_funcs(("potri",), (self.lower,))
        inverse, info = potri(self.lower, lower=1)
        assert info == 0, "L has no zero on its diagonal"
        return np.diagonal(inverse).copy()


def mean_diagonal(kernel: npt.NDArray[Any]) -> float:
    """The mean of the diagonal; raises NumericsError unless it is positive and finite."""
    mean = float(np.diagonal(kernel).mean(dtype=np.float64))
    if not 0 < mean < np.inf:
        raise NumericsError(
            f"the kernel of the training inputs has the mean diagonal {mean:g}: nothing can be "
            f"learnt from it; check the network and the inputs"
        )
    return mean


def factorise(kernel: Array, diag_reg: float) -> Factor:
    """The Cholesky factor of a kernel, with the least jitter of `JITTERS` that it takes.

    Args:
        kernel: (n, n) float64; only the lower half is read.
        diag_reg: absolute, at least 0.

    Raises:
        NumericsError: the largest jitter is not enough, or with diag_reg the diagonal leaves the
            range of float64.
    """
    scale = mean_diagonal(kernel)
    diagonal = np.diagonal(kernel)
    if not np.isfinite(float(diagonal.max()) + diag_reg):
        raise NumericsError(
            f"with diag_reg ({diag_reg:g}) added, the diagonal of the kernel of the training inputs "
            f"(mean {scale:g}) leaves the range of float64; ask for a smaller diag_reg"
        )
    # Of each row by itself: Cholesky's rounding of row i is relative to K_ii, however large others are
    # (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 10.1).
    rounding = len(kernel) * np.finfo(np.float64).eps * (diagonal + diag_reg)
    for attempts, relative in enumerate(JITTERS, start=1):
        jitter = relative * scale
        regularised = kernel.copy()
        regularised[np.diag_indices_from(regularised)] += diag_reg + jitter
        try:
            lower = cholesky(regularised, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            continue
        # A pivot that is nothing but rounding would be divided by all the same.
        pivots = np.diagonal(lower) ** 2
        if (rounding < pivots).all() and pivots.max() < np.inf:
            return Factor(lower, diag_reg, jitter, attempts)
    raise NumericsError(
        f"the kernel of the training inputs is not positive definite, even with "
        f"{JITTERS[-1]:g} of its mean diagonal ({scale:g}) added; ask for a larger diag_reg, for "
        f"float64 kernels, or remove repeated inputs"
    )
