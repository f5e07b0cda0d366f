"""What comes of computing kernels, and what is known of its error. No JAX.

An approximation (a mixing matrix of low rank, random features, the additive method) says of every
input or pair how far off it is. The largest of these errors goes with each tile, and the largest
over its tiles with a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

ErrorEstimate = dict[str, float]
"""The largest error of each approximation that had a part in a result, by its name; empty where
everything is exact, or estimated with standard errors.

    mixing      of an attention's mixing matrix: the largest sum over a row of |A - A_exact|
    landmarks   of the covariance of random logits, relative to the roots of the variances, where
                their standard errors do not show it (kernels/estimate/landmarks.py)
    additive    of a kernel by the method "additive", relative to sqrt(K(x, x) K(x', x'))
"""


@dataclass(frozen=True)
class TileResult:
    """The kernels of two groups of inputs.

    Attributes:
        values: an array by name, all of one shape and dtype.
        error_estimate: see `ErrorEstimate`.
    """

    values: dict[str, npt.NDArray[Any]]
    error_estimate: ErrorEstimate = field(default_factory=ErrorEstimate)


class KernelMatrices(dict[str, npt.NDArray[Any]]):
    """Matrices by name.

    Attributes:
        error_estimate: see `ErrorEstimate`.
        warnings: what is allowed but probably not meant, in sentences.

    A job of the service has both under the same names, the error in its receipt.
    """

    def __init__(
        self,
        matrices: Mapping[str, npt.NDArray[Any]],
        error_estimate: ErrorEstimate,
        warnings: Sequence[str],
    ) -> None:
        super().__init__(matrices)
        self.error_estimate = error_estimate
        self.warnings = tuple(warnings)


def largest(estimates: Iterable[Mapping[str, float]]) -> ErrorEstimate:
    """The largest of each error over several results."""
    found: ErrorEstimate = {}
    for estimate in estimates:
        for name, error in estimate.items():
            found[name] = max(error, found.get(name, error))
    return found
