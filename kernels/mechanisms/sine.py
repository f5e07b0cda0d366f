"""The sine of an angle between 0 and pi, of which the supplement is known too."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jax import Array

_DEGREES = {"float32": 4, "float64": 8}
"""Errors of 1e-9 and 1e-15, relative."""
_LARGEST = np.pi**2 / 4


def sine(angle: Array, supplement: Array) -> Array:
    """sin(angle), any shape, where supplement = pi - angle >= 0.

    A polynomial in their product, by which sin is divisible: relative accuracy at both ends, and
    a tenth of the time that XLA takes for a float64 sine on a CPU (8 ns an entry).
    """
    import jax.numpy as jnp

    product = angle * supplement
    value = jnp.zeros_like(product)
    for coefficient in _coefficients(_DEGREES[product.dtype.name]):
        value = value * product + float(coefficient)
    return product * value


@lru_cache
def _coefficients(degree: int) -> npt.NDArray[np.float64]:
    """Of sin(angle) / product in powers of the product, highest first."""
    from numpy.polynomial import Chebyshev, Polynomial

    def quotient(product: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        angle = np.pi / 2 - np.sqrt(np.maximum(_LARGEST - product, 0))
        return np.sinc(angle / np.pi) / (np.pi - angle)

    series = Chebyshev.interpolate(quotient, degree, domain=[0, _LARGEST])
    return np.asarray(series.convert(kind=Polynomial).coef[::-1], np.float64)
