"""Tables of the UCI repository: infinitely wide networks against scikit-learn's Gaussian process.

    make results-uci DATA=path/to/uci.npz            # minutes on one core

The file holds NAME_X (n, d) and NAME_y (n,) of each table. Of rows that repeat each other one is kept;
nine tenths are learnt from, in seeded splits; inputs and targets are standardised by the training
rows. RMSE and NLL (nats a row, of new targets, noise included) are in the target's own units.

Ours: networks of 1 to 3 relu or erf layers, with all weights or only the last layer's trained (ntk,
nngp); which of them, noise and the scale of the last layer by leave-one-out density. scikit-learn's:
a Gaussian kernel with a length for every column, scale and noise, all by marginal likelihood.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from benchmarks.results.learning import learn_density
from benchmarks.results.splits import head, row, splits, spread
from benchmarks.workloads import Array, Layers
from kernels.matrix import kernel_matrix

HIDDEN: Final = tuple((shape, depth) for shape in ("relu", "erf") for depth in (1, 2, 3))
"""The networks to choose from: an activation and how many hidden layers."""
MOST_ROWS: Final = 700
"""That marginal likelihood is maximised on; the rest are learnt from with what it found."""


PEER: Final = "Gaussian kernel (scikit-learn)"


@dataclass(frozen=True)
class Split:
    """One split of one table, inputs standardised.

    Attributes:
        x: training inputs, then test inputs.
        y: standardised training targets, (n,).
        y_test: test targets in their own units, (m,).
        middle: the mean of the training targets.
        unit: their standard deviation.
    """

    x: Array
    y: Array
    y_test: Array
    middle: float
    unit: float

    def errors(self, mean: Array, variance: Array) -> tuple[float, float]:
        """RMSE and NLL, of mean and variance (m,) of standardised targets."""
        error = self.y_test - (self.middle + self.unit * mean)
        variance = self.unit**2 * variance
        density = -0.5 * (error**2 / variance + np.log(2 * np.pi * variance))
        return float(np.sqrt(np.mean(error**2))), float(-np.mean(density))


def without_repeats(x: Array, y: Array) -> tuple[Array, Array]:
    """Each row once; a repeated one would be both learnt from and tested on."""
    table = np.unique(np.column_stack([x, y]), axis=0)
    return table[:, :-1], table[:, -1]


def split_of(x: Array, y: Array, train: Array, test: Array) -> Split:
    middle, unit = x[train].mean(axis=0), x[train].std(axis=0)
    scaled = (x - middle) / np.where(unit > 0, unit, 1.0)
    level, size = float(y[train].mean()), float(y[train].std())
    order = np.concatenate([train, test])
    return Split(scaled[order], (y[train] - level) / size, y[test], level, size)


def network(activation: str, depth: int) -> Layers:
    # Biases, since without them what relu layers make of x grows in proportion along every ray.
    dense = {"type": "dense", "w_std": 2**0.5, "b_std": 0.5}
    return [*[dense, {"type": activation}] * depth, {"type": "dense"}]


def ours(split: Split) -> dict[str, tuple[float, float]]:
    """RMSE and NLL of "nngp" and "ntk", each with the network that leave-one-out prefers."""
    n = len(split.y)
    kernels = [kernel_matrix({"layers": network(*one)}, split.x, dtype="float64") for one in HIDDEN]
    answers: dict[str, tuple[float, float]] = {}
    for output in ("nngp", "ntk"):
        made = [
            (learn_density(kernel[output][:n, :n], split.y[:, None]), kernel[output])
            for kernel in kernels
        ]
        learnt, kernel = max(made, key=lambda one: one[0].loo.log_density)
        cross, prior = kernel[n:, :n], np.diagonal(kernel)[n:]
        answers[output] = split.errors(learnt.mean(cross)[:, 0], learnt.variance(cross, prior))
    return answers


def peer(split: Split, seed: int) -> tuple[float, float]:
    """RMSE and NLL of scikit-learn's Gaussian process."""
    n = len(split.y)
    chosen = np.random.default_rng(seed).permutation(n)[:MOST_ROWS]
    kernel = ConstantKernel(1.0, (1e-3, 1e4)) * RBF(np.ones(split.x.shape[1]), (1e-2, 1e4))
    kernel += WhiteKernel(0.1, (1e-6, 1e1))
    search = GaussianProcessRegressor(kernel, alpha=1e-10)
    with warnings.catch_warnings():
        # A column that says nothing has its length at the upper bound, which it reports.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(split.x[chosen], split.y[chosen])
    fitted = GaussianProcessRegressor(search.kernel_, alpha=1e-10, optimizer=None)
    fitted.fit(split.x[:n], split.y)
    mean, deviation = fitted.predict(split.x[n:], return_std=True)
    return split.errors(mean, deviation**2)


def compare(x: Array, y: Array, count: int) -> None:
    """Prints the rows of one table."""
    found: dict[str, list[tuple[float, float]]] = {"nngp": [], "ntk": [], PEER: []}
    seconds = {"ours": 0.0, PEER: 0.0}
    for seed, (train, test) in enumerate(splits(len(y), len(y) * 9 // 10, count)):
        split = split_of(x, y, train, test)
        started = perf_counter()
        for output, errors in ours(split).items():
            found[output].append(errors)
        between = perf_counter()
        found[PEER].append(peer(split, seed))
        seconds["ours"] += (between - started) / count
        seconds[PEER] += (perf_counter() - between) / count
    for model, errors in found.items():
        rmse, nll = zip(*errors, strict=True)
        took = seconds[PEER if model == PEER else "ours"]
        row([model, spread(rmse, 3), spread(nll, 3), f"{took:.1f}"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="path of the .npz file")
    parser.add_argument("--rows", type=int, help="only so many of each table, drawn at random")
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args(arguments)
    with np.load(options.data) as file:
        names = [key.removesuffix("_X") for key in file.files if key.endswith("_X")]
        tables = {name: without_repeats(file[f"{name}_X"], file[f"{name}_y"]) for name in names}
    for name, (x, y) in tables.items():
        chosen = np.random.default_rng(0).permutation(len(y))[: options.rows]
        head(f"{name}: {len(chosen)} x {x.shape[1]}", "RMSE", "NLL", "seconds a split")
        compare(x[chosen], y[chosen], options.splits)
        print()


if __name__ == "__main__":
    main()
