"""The eigendecomposition of a training kernel: every regularisation and every time from one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from kernels.errors import NumericsError
from kernels.predict.factor import JITTERS, mean_diagonal

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """K = U diag(values) U^T.

    Attributes:
        values: (n,), ascending; rounding can make the smallest negative.
        vectors: U, (n, n), one eigenvector a column.
        mean_diagonal: of K, what relative regularisations are relative to.
    """

    values: Array
    vectors: Array
    mean_diagonal: float

    def jitter(self, diag_reg: float) -> float:
        """The least jitter, absolute, with which K + diag_reg is positive definite beyond rounding.

        Args:
            diag_reg: what is added to the diagonal already, absolute.

        Raises:
            NumericsError: none is enough.
        """
        jitter = least_jitter(self.values, self.mean_diagonal, diag_reg)
        if jitter is not None:
            return jitter
        raise NumericsError(
            f"the smallest eigenvalue of the training kernel is {self.values[0]:g}, and "
            f"{JITTERS[-1]:g} of its mean diagonal does not make it positive; ask for a larger "
            f"diag_reg, or for float64 kernels"
        )


def least_jitter(values: Array, mean_diagonal: float, diag_reg: float = 0.0) -> float | None:
    """The least of `JITTERS`, absolute, that makes a matrix positive definite beyond rounding.

    Args:
        values: its eigenvalues, (n,), ascending.
        mean_diagonal: what jitters are relative to.
        diag_reg: what is added to its diagonal already, absolute.

    Returns:
        None where none is enough.
    """
    rounding = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    jitters = (relative * mean_diagonal for relative in JITTERS)
    return next((each for each in jitters if values[0] + diag_reg + each > rounding), None)


def decompose(kernel: Array) -> Spectrum:
    """The eigendecomposition of a kernel (n, n) float64, of which only the lower half is read."""
    scale = mean_diagonal(kernel)
    # "evr" fails on some clustered spectra (duplicates among the inputs); "evd" does not.
    values, vectors = eigh(kernel, lower=True, driver="evd", check_finite=False)
    return Spectrum(values, vectors, scale)
