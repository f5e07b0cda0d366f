"""Handwritten digits: infinitely wide networks, SVM with a Gaussian kernel, logistic regression.

    make results-digits            # a few minutes on one core

1,797 images of 8 x 8 pixels (examples/digits), 1,347 to learn from and 450 to test on, ten seeded
splits. Attention sees an image as a sequence of its 8 rows. Each family has a few networks, one of
which leave-one-out on the training digits chooses in every split; the others' parameters are chosen
by cross-validation on the training digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.results.computed import compute
from benchmarks.results.learning import classify
from benchmarks.results.splits import head, percent, row, splits
from benchmarks.workloads import RELU, Array, Data, Layers, attention, conv, dense

FILE: Final = Path(__file__).resolve().parents[2] / "examples/digits/digits.npz"
FLATTEN: Final = {"type": "flatten"}
LAST: Final = {"type": "dense"}


def _attention(qk_std: float) -> Layers:
    positional = {"merge": "sum", "decay": {"type": "exponential", "length": 4.0}}
    layer = attention(qk_std=qk_std, positional=positional)
    return [dense(1.5), RELU, layer, RELU, FLATTEN, LAST]


FAMILIES: Final[dict[str, list[Layers]]] = {
    "attention over rows": [_attention(qk_std) for qk_std in (0.5, 1.0, 2.0, 4.0)],
    "dense, on rows": [[dense(1.5), RELU, dense(1.5), RELU, FLATTEN, LAST]],
    "dense, on images": [[FLATTEN, *[dense(1.5), RELU] * depth, LAST] for depth in (1, 2, 3, 5)],
    "convolution of rows": [[*[conv(3), RELU] * depth, FLATTEN, LAST] for depth in (1, 2, 3)],
    "linear (ridge regression)": [[FLATTEN, LAST]],
}


def wrong_by_network(
    family: list[Layers], data: Data, labels: Array, count: int
) -> dict[str, list[float]]:
    """Error rates of every split for "nngp" and "ntk"; one network chosen by leave-one-out."""
    computed = [compute(layers, data, dtype="float64").matrices for layers in family]
    rates: dict[str, list[float]] = {"nngp": [], "ntk": []}
    for train, test in splits(len(labels), _train(labels), count):
        for output, found in rates.items():
            made = [classify(kernels[output], labels, train, test) for kernels in computed]
            guess, _ = min(made, key=lambda one: one[1].loo.mse)
            found.append(float(np.mean(guess != labels[test])))
    return rates


def wrong_by_peer(search: GridSearchCV, data: Data, labels: Array, count: int) -> list[float]:
    """Error rates of every split for an estimator of scikit-learn, on pixels."""
    x = data.x.reshape(len(labels), -1)
    return [
        float(1 - search.fit(x[train], labels[train]).score(x[test], labels[test]))
        for train, test in splits(len(labels), _train(labels), count)
    ]


def peers() -> dict[str, GridSearchCV]:
    svm: dict[str, Any] = {"C": [1, 10, 100], "gamma": [0.005, 0.01, 0.02, 0.04, 0.08]}
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return {
        "SVM, Gaussian kernel": GridSearchCV(SVC(), svm, cv=3),
        "logistic regression": GridSearchCV(
            logistic, {"logisticregression__C": [0.01, 0.1, 1.0]}, cv=3
        ),
    }


def _train(labels: Array) -> int:
    return len(labels) * 3 // 4


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--examples", type=int, help="only the first so many digits")
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args(arguments)
    with np.load(FILE) as file:
        images = file["images"][: options.examples].astype(np.float64) / 16
        labels = file["label"][: options.examples].astype(int)
    data = Data(images)
    head("wrong of the test digits, %", "nngp", "ntk")
    for name, family in FAMILIES.items():
        rates = wrong_by_network(family, data, labels, options.splits)
        row([name, percent(rates["nngp"]), percent(rates["ntk"])])
    for name, search in peers().items():
        row([name, percent(wrong_by_peer(search, data, labels, options.splits)), "-"])


if __name__ == "__main__":
    main()
