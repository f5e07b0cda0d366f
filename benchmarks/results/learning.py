"""Regression on a kernel matrix, with everything that has to be chosen chosen on the training rows.

Leave-one-out in closed form (kernels.predict.leave_one_out) chooses the regularisation and, where
densities count, the scale of the outputs; test rows are predicted once, after that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.workloads import Array
from kernels.predict import gaussian_process, ridge
from kernels.predict.factor import Factor, factorise
from kernels.predict.leave_one_out import Score, choose, output_scale, score
from kernels.predict.model import GRID
from kernels.predict.spectrum import decompose
from kernels.predict.targets import read_targets

ROUNDS = 3
"""Of choosing diag_reg for a scale and the scale for a diag_reg; a fourth moves neither by 1 %."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt from the training rows.

    Attributes:
        factor: of scale K + diag_reg I.
        weights: its inverse times the targets, (n, k).
        scale: what K was multiplied by: the square of the last layer's w_std.
        relative: diag_reg over the mean diagonal of scale K.
        loo: the leave-one-out score of all that.
    """

    factor: Factor
    weights: Array
    scale: float
    relative: float
    loo: Score

    def mean(self, cross: Array) -> Array:
        """Of test rows, (m, k), from K(x, X) (m, n)."""
        return ridge.predict(self.scale * cross.astype(np.float64), self.weights)

    def variance(self, cross: Array, prior: Array) -> Array:
        """Of new targets, noise included, (m,), from K(x, X) (m, n) and K(x, x) (m,)."""
        of_function = gaussian_process.posterior_variance(
            self.factor, self.scale * cross.astype(np.float64), self.scale * prior
        )
        return of_function + self.factor.diag_reg


def learn(kernel: Array, targets: Array) -> Learnt:
    """With the diag_reg of least squared leave-one-out error.

    Args:
        kernel: K(X, X), (n, n).
        targets: (n, k).
    """
    kernel = kernel.astype(np.float64)
    spectrum = decompose(kernel)
    return _learnt(kernel, targets, 1.0, choose(spectrum, targets, GRID, "mse").diag_reg)


def learn_density(kernel: Array, targets: Array) -> Learnt:
    """With the diag_reg and the scale of the largest leave-one-out log density.

    The two are improved in turn from the diag_reg of least squared error, which does not depend on
    the scale. For a diag_reg the best scale is the mean of the squared errors over their variances.
    """
    kernel = kernel.astype(np.float64)
    spectrum = decompose(kernel)
    scale, share = 1.0, choose(spectrum, targets, GRID, "mse").diag_reg
    for _ in range(ROUNDS):
        found = _learnt(kernel, targets, 1.0, share)
        scale = output_scale(found.weights, found.factor.inverse_diagonal())
        scaled = replace(
            spectrum, values=scale * spectrum.values, mean_diagonal=scale * spectrum.mean_diagonal
        )
        share = choose(scaled, targets, GRID, "log_density").diag_reg / scale
    return _learnt(kernel, targets, scale, share)


def _learnt(kernel: Array, targets: Array, scale: float, share: float) -> Learnt:
    """With a scale, and scale times `share` on the diagonal."""
    factor = factorise(scale * kernel, scale * share)
    weights = ridge.dual_weights(factor, targets)
    relative = share / float(np.diagonal(kernel).mean())
    return Learnt(factor, weights, scale, relative, score(weights, factor.inverse_diagonal()))


def classify(kernel: Array, labels: Array, train: Array, test: Array) -> tuple[Array, Learnt]:
    """The classes that are predicted for the test rows, (m,), and what they were predicted with.

    Args:
        kernel: of all rows with themselves, (n, n).
        labels: (n,) whole numbers; those of test rows are not looked at.
        train: row numbers.
        test: row numbers.
    """
    targets = read_targets(labels[train], "classification", len(train))
    learnt = learn(kernel[np.ix_(train, train)], targets.values)
    return targets.classes(learnt.mean(kernel[np.ix_(test, train)])), learnt
