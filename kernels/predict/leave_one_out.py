"""Leave-one-out scores in closed form, and the diag_reg that is best by them.

With C = K + diag_reg I, what the other rows predict for row i, and with what variance, is

    mu_i = y_i - [C^-1 y]_i / [C^-1]_ii        sigma_i^2 = 1 / [C^-1]_ii

(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.10 to 5.12; sigma_i^2
includes the noise diag_reg). One eigendecomposition gives them for every diag_reg.

With s C for C, which a prior of another scale has, mu_i stays and sigma_i^2 is s times as large. The
log density of the rows is largest at s = mean((y_i - mu_i)^2 / sigma_i^2), where its derivative is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kernels.predict.model import Criterion
from kernels.predict.spectrum import Spectrum, least_jitter

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well each row is predicted from the others, over all rows and outputs.

    Attributes:
        mse: mean squared error.
        log_density: mean log density of the left-out targets under a Gaussian process.
    """

    mse: float
    log_density: float

    def of(self, criterion: Criterion) -> float:
        """The larger, the better."""
        return -self.mse if criterion == "mse" else self.log_density


@dataclass(frozen=True)
class Choice:
    """The diag_reg of a grid with the best score; the smallest of several.

    Attributes:
        diag_reg: absolute.
        scores: of the whole grid, in its order; None where K is not positive definite with so little.
    """

    diag_reg: float
    scores: tuple[Score | None, ...]


def output_scale(weights: Array, inverse_diagonal: Array) -> float:
    """The scale of the kernel and its noise with the largest log density: the mean, over rows and
    outputs, of the squared error over its variance. 1 where all targets are zero, and none is best.

    Args:
        weights: C^-1 y, (n, k).
        inverse_diagonal: of C^-1, (n,).
    """
    return float(np.mean(weights**2 / inverse_diagonal[:, None])) or 1.0


def score(weights: Array, inverse_diagonal: Array, scale: float = 1.0) -> Score:
    """The score of one regularisation.

    Args:
        weights: C^-1 y, (n, k).
        inverse_diagonal: of C^-1, (n,).
        scale: what kernel and noise are multiplied by.
    """
    error = weights / inverse_diagonal[:, None]
    variance = scale / inverse_diagonal[:, None]
    density = -0.5 * (error**2 / variance + np.log(2 * np.pi * variance))
    return Score(float(np.mean(error**2)), float(np.mean(density)))


def choose(
    spectrum: Spectrum,
    targets: Array,
    grid: Sequence[float],
    criterion: Criterion,
    scale: float | Literal["loo"] = 1.0,
) -> Choice:
    """The best diag_reg of a grid.

    Args:
        spectrum: of K.
        targets: (n, k).
        grid: candidates, relative to the mean diagonal of K.
        criterion: what is compared.
        scale: what kernel and noise are multiplied by; "loo", what is best for each candidate.

    Raises:
        NumericsError: no candidate makes K positive definite.
    """
    projected = spectrum.vectors.T @ targets
    squares = spectrum.vectors**2

    def score_with(diag_reg: float, jitter: float) -> Score:
        inverse = 1 / (spectrum.values + diag_reg + jitter)
        weights = spectrum.vectors @ (projected * inverse[:, None])
        inverse_diagonal = squares @ inverse
        best = output_scale(weights, inverse_diagonal) if scale == "loo" else scale
        return score(weights, inverse_diagonal, best)

    candidates = [relative * spectrum.mean_diagonal for relative in grid]
    jitters = [least_jitter(spectrum.values, spectrum.mean_diagonal, each) for each in candidates]
    scores = tuple(
        None if jitter is None else score_with(each, jitter)
        for each, jitter in zip(candidates, jitters, strict=True)
    )
    found = [
        (item.of(criterion), -each) for each, item in zip(candidates, scores, strict=True) if item
    ]
    if not found:
        spectrum.jitter(max(candidates))  # says why
    return Choice(-max(found)[1], scores)
