"""How well a kernel matrix can be factorised: its eigenvalues, asymmetry, and the jitter it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh

from kernels.predict.spectrum import least_jitter

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a symmetric matrix.

    Attributes:
        smallest_eigenvalue: negative where rounding or an estimate made it so.
        largest_eigenvalue: of the symmetric part, as the smallest.
        condition_number: largest over smallest; None unless the smallest is positive.
        mean_diagonal: what jitters are relative to.
        asymmetry: the largest |K - K^T| over the largest |K|.
        suggested_jitter: absolute: the least power of ten of the mean diagonal that makes K positive
            definite beyond the rounding of float64, 0 if it is; None when a thousandth is not enough.
    """

    smallest_eigenvalue: float
    largest_eigenvalue: float
    condition_number: float | None
    mean_diagonal: float
    asymmetry: float
    suggested_jitter: float | None


def diagnose(kernel: Array) -> tuple[Diagnosis, Array]:
    """The diagnosis of a matrix (n, n), and its eigenvalues (n,), ascending."""
    largest = float(np.abs(kernel).max())
    asymmetry = float(np.abs(kernel - kernel.T).max()) / largest if largest else 0.0
    values = eigvalsh((kernel + kernel.T) / 2, driver="ev", overwrite_a=True, check_finite=False)
    smallest, most = float(values[0]), float(values[-1])
    mean = float(np.diagonal(kernel).mean())
    diagnosis = Diagnosis(
        smallest_eigenvalue=smallest,
        largest_eigenvalue=most,
        condition_number=most / smallest if smallest > 0 else None,
        mean_diagonal=mean,
        asymmetry=asymmetry,
        suggested_jitter=least_jitter(values, mean),
    )
    return diagnosis, values
