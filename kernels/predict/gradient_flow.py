"""Infinitely wide networks trained by gradient flow from random starts: an ensemble, in closed form.

The loss is half the sum of squared errors over the training rows, plus diag_reg / 2 times the squared
distance of the weights from their start; the learning rate is absorbed into the time t (gradient
descent: steps times learning rate). With T = Theta(X, X) + diag_reg I and

    M(t) = T^-1 (I - exp(-T t))          A(x) = Theta(x, X) M(t)

the outputs at time t are Gaussian over starts (Lee et al., Wide neural networks of any depth evolve as
linear models under gradient descent, 2019, eq. 14 to 16, where diag_reg is 0):

    mean(x)    = A(x) y
    cov(x, x') = K(x, x') + A(x) K(X, X) A(x')^T - A(x) K(X, x') - K(x, X) A(x')^T

Theta is the ntk and K the nngp. Where diag_reg is not 0: the flow of f(X) - f_0(X) = Theta a is
da/dt = -T a + y - f_0(X), of which a(t) = M(t) (y - f_0(X)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.predict.spectrum import Spectrum

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flow:
    """M(t) by eigenvalues.

    Attributes:
        spectrum: of Theta(X, X).
        shares: (n,), (1 - exp(-l t)) / l of the eigenvalues l of T.
        diag_reg: absolute.
        jitter: what was added beside diag_reg to make T positive definite, absolute.
    """

    spectrum: Spectrum
    shares: Array
    diag_reg: float
    jitter: float

    def apply(self, b: Array) -> Array:
        """M(t) b, of b (n, k)."""
        vectors = self.spectrum.vectors
        return vectors @ (self.shares[:, None] * (vectors.T @ b))

    @property
    def inverse_diagonal(self) -> Array:
        """The diagonal of M(t), (n,); of T^-1 at the end."""
        return self.spectrum.vectors**2 @ self.shares


def flow_until(spectrum: Spectrum, diag_reg: float, time: float) -> Flow:
    """The flow up to a time, or for ever (inf).

    Raises:
        NumericsError: Theta + diag_reg I is not positive definite with any jitter.
    """
    jitter = spectrum.jitter(diag_reg)
    rates = spectrum.values + diag_reg + jitter
    # expm1, since slow directions have a rate times time far below 1.
    shares = 1 / rates if np.isinf(time) else -np.expm1(-rates * time) / rates
    return Flow(spectrum, shares, diag_reg, jitter)


def ensemble_variance(
    flow: Flow, ntk_cross: Array, nngp_cross: Array, nngp: Array, prior: Array
) -> Array:
    """cov(x, x), (m,).

    Args:
        flow: up to the time.
        ntk_cross: Theta(x, X), (m, n).
        nngp_cross: K(x, X), (m, n).
        nngp: K(X, X), (n, n).
        prior: K(x, x), (m,).
    """
    a = flow.apply(ntk_cross.T).T
    return prior + np.einsum("mn,mn->m", a, a @ nngp - 2 * nngp_cross)


def ensemble_covariance(
    flow: Flow, ntk_cross: Array, nngp_cross: Array, nngp: Array, prior: Array
) -> Array:
    """cov(x, x'), (m, m), exactly symmetric; arguments as of `ensemble_variance`, prior (m, m)."""
    a = flow.apply(ntk_cross.T).T
    covariance = prior + a @ (nngp @ a.T) - a @ nngp_cross.T - nngp_cross @ a.T
    return (covariance + covariance.T) / 2
