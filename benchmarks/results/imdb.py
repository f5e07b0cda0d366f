"""Film reviews: attention networks of infinite width against mean pooling and logistic regression.

    make results-imdb DATA=path/to/imdb.npz            # 1,000 + 1,000 reviews: half an hour on one core, about

The file holds `ids` and `offsets` (tokens of all reviews, cut at 500), `embeddings` (GloVe, 50
channels), `label` and `is_train`. Every network is computed once over all reviews. "as given" learns
from the reviews marked as training reviews and tests on the others; ± there is the standard error
that so many test reviews leave. "shuffled" has seeded halves of all reviews.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.imdb import reviews
from benchmarks.results.computed import compute
from benchmarks.results.learning import classify
from benchmarks.results.splits import head, percent, row, splits
from benchmarks.workloads import IMDB, POOL, RELU, Array, Data, Layers, attention

CONV: Final = IMDB[0]
LAST: Final = {"type": "dense"}
ATTENTION, DENSE, MEAN = "conv, attention, pool", "conv, dense, pool", "conv, pool"
VECTORS = "logistic regression on mean vectors"
COUNTS = "logistic regression on word counts (tf-idf)"
NETWORKS: Final[dict[str, tuple[Layers, str]]] = {
    ATTENTION: (IMDB, "additive"),
    DENSE: ([CONV, RELU, LAST, RELU, POOL, LAST], "exact"),
    MEAN: ([CONV, RELU, POOL, LAST], "exact"),
}
"""The authors' network, the same with a dense layer in the attention's place, and without it."""
CHOICES: Final = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]}

Guess = Callable[[Array, Array], Array]
"""From the numbers of training and of test rows to the classes of the test rows."""


@dataclass(frozen=True)
class Answers:
    """Which test reviews a model got right.

    Attributes:
        given: of the given test reviews, (n,) booleans.
        shuffled: the accuracy of every seeded split.
    """

    given: Array
    shuffled: list[float]

    def cells(self) -> list[str]:
        return [_share(self.given), percent(self.shuffled)]


def answers(guess: Guess, labels: Array, count: int) -> Answers:
    """Of reviews in the order of `reviews`: first half training, second half test."""
    n = len(labels) // 2
    train, test = np.arange(n), np.arange(n, 2 * n)
    given = guess(train, test) == labels[test]
    shares = [
        float(np.mean(guess(one, other) == labels[other])) for one, other in splits(2 * n, n, count)
    ]
    return Answers(given, shares)


def by_kernel(kernel: Array, labels: Array) -> Guess:
    return lambda train, test: classify(kernel, labels, train, test)[0]


def by_logistic_regression(first: Any, x: Any, labels: Array) -> Guess:
    """Behind a step that is fitted on training rows too; C by five-fold cross-validation there."""
    search = GridSearchCV(make_pipeline(first, LogisticRegression(max_iter=2000)), CHOICES, cv=5)
    return lambda train, test: search.fit(x[train], labels[train]).predict(x[test])


def mean_vectors(data: Data) -> Array:
    """The mean word vector of every review, (n, channels)."""
    assert data.mask is not None, "reviews have masks"
    return data.x.sum(axis=1, dtype=np.float64) / data.mask.sum(axis=1)[:, None]


def word_counts(path: str, n: int) -> Any:
    """How often each word stands in each of the reviews of `reviews`, sparse (2 n, words)."""
    with np.load(path) as file:
        ids, offsets, words = file["ids"], file["offsets"], len(file["embeddings"])
        chosen = [np.flatnonzero(file["is_train"] == part)[:n] for part in (True, False)]
    tokens = [ids[offsets[one] : offsets[one + 1]] for one in np.concatenate(chosen)]
    rows = np.repeat(np.arange(2 * n), [len(one) for one in tokens])
    columns = np.concatenate(tokens).astype(np.int64)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(2 * n, words))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="path of the .npz file")
    parser.add_argument("--n", type=int, default=1000, help="training, and test, reviews")
    parser.add_argument("--variants", type=int, default=300, help="the same, of the second table")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="a folder for kernels, to go on after a stop")
    options = parser.parse_args(arguments)
    data, signs = reviews(options.data, options.n)
    labels = (signs > 0).astype(int)

    head(f"right of {options.n} reviews, %", "as given", "shuffled", "seconds")
    found: dict[tuple[str, str], Answers] = {}
    for name, (layers, method) in NETWORKS.items():
        made = compute(layers, data, method=method, folder=options.keep)
        for output, kernel in made.matrices.items():
            one = answers(by_kernel(kernel, labels), labels, options.splits)
            found[name, output] = one
            row([f"{name}, {output}", *one.cells(), f"{made.seconds:.0f}"])
    for name, first, x in (
        (VECTORS, StandardScaler(), mean_vectors(data)),
        (COUNTS, TfidfTransformer(), word_counts(options.data, options.n)),
    ):
        guess = by_logistic_regression(first, x, labels)
        found[name, ""] = answers(guess, labels, options.splits)
        row([name, *found[name, ""].cells(), "-"])

    print()
    head(ATTENTION, "nngp, as given", "nngp, shuffled", "ntk, as given", "ntk, shuffled")
    for name in (DENSE, MEAN, VECTORS, COUNTS):
        cells: list[str] = []
        for output in ("nngp", "ntk"):
            ours, other = found[ATTENTION, output], found.get((name, output)) or found[name, ""]
            cells += [_difference(ours.given, other.given)]
            pairs = zip(ours.shuffled, other.shuffled, strict=True)
            cells += [percent([one - two for one, two in pairs])]
        row([f"minus {name}", *cells])

    if options.variants:
        print()
        variants(options.data, options.variants, options.splits, options.keep)


def variants(path: str, n: int, count: int, folder: Path | None) -> None:
    """What positions and masks do, at a size where both are cheap."""
    data, signs = reviews(path, n)
    labels = (signs > 0).astype(int)
    plain = [CONV, RELU, attention(), RELU, POOL, LAST]
    head(f"right of {n} reviews, %", "nngp, shuffled", "ntk, shuffled", "seconds")
    for name, layers, inputs in (
        ("positions and masks", IMDB, data),
        ("no positions", plain, data),
        ("no masks: zeros up to 500 tokens", IMDB, Data(data.x)),
    ):
        made = compute(layers, inputs, method="additive", folder=folder)
        shares = [
            percent(answers(by_kernel(made.matrices[output], labels), labels, count).shuffled)
            for output in ("nngp", "ntk")
        ]
        row([name, *shares, f"{made.seconds:.0f}"])


def _share(right: Array) -> str:
    share = float(np.mean(right))
    return f"{100 * share:.1f} ± {100 * (share * (1 - share) / len(right)) ** 0.5:.1f}"


def _difference(ours: Array, other: Array) -> str:
    """In percent, with the standard error of paired differences."""
    apart = ours.astype(float) - other.astype(float)
    return f"{100 * apart.mean():.1f} ± {100 * apart.std(ddof=1) / len(apart) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
