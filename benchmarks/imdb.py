"""The infinite-attention authors' IMDb example: 300 + 300 reviews, exact and additive.

    make bench-imdb DATA=path/to/imdb.npz

The file holds `ids` and `offsets` (tokens of all reviews, cut at 500), `embeddings` (GloVe, 50
channels), `label` and `is_train`. For each method: seconds for the kernels that predictions need (train
with train, test with train, and the test reviews with themselves: 135,450 pairs), compilation included,
and the accuracy of kernel regression with both; of the exact one the ratio to this machine's roofline
too.

    make bench-imdb DATA=path/to/imdb.npz ARGS="--service --methods additive"

computes them through a service as well, which compiles everything anew, too: from arrays that are sent
to matrices that have come. It is started in a folder of its own, and is ready before that begins.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from benchmarks.roofline import measured
from benchmarks.service import serving
from benchmarks.workloads import (
    CONVOLVED,
    IMDB,
    Array,
    Data,
    Floor,
    of_attention,
    of_attention_pairs,
)
from kernels.inputs import OUTPUTS
from kernels.matrix import kernel_matrix

LONGEST = 500
REGULARISATION = {"nngp": 1e-2, "ntk": 1e-6}
"""Added to the diagonal, in units of its mean: as the authors', and for the nngp what suits it."""


class Kernels(NamedTuple):
    """One kernel, as far as predictions need it.

    Attributes:
        train: (n, n) of the training reviews.
        cross: (n, n) of the test with the training reviews.
        prior: (n,) of each test review with itself, for error bars.
    """

    train: Array
    cross: Array
    prior: Array


Found = Mapping[str, Kernels]
Seconds = Mapping[str, float]


class Clock:
    """What each part took, told when it is done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def __call__(self, part: str) -> None:
        """The part that began with the end of the one before has ended."""
        now = perf_counter()
        self.seconds[part], self._last = now - self._last, now


def reviews(path: str, n: int) -> tuple[Data, Array]:
    """The first n training and n test reviews, in this order, and their labels -1 and 1."""
    with np.load(path) as file:
        ids, offsets, vectors = file["ids"], file["offsets"], file["embeddings"].astype(np.float32)
        rows = [np.flatnonzero(file["is_train"] == part)[:n] for part in (True, False)]
        chosen = np.concatenate(rows)
        labels = file["label"][chosen] * 2.0 - 1
    x = np.zeros((2 * n, LONGEST, vectors.shape[1]), np.float32)
    mask = np.zeros((2 * n, LONGEST), bool)
    for row, review in enumerate(chosen):
        tokens = ids[offsets[review] : offsets[review + 1]]
        x[row, : len(tokens)] = vectors[tokens]
        mask[row, : len(tokens)] = True
    return Data(x, mask), labels


def accuracy(kernels: Kernels, labels: Array, share: float) -> float:
    """Of kernel regression, on the test reviews."""
    train, n = kernels.train.astype(np.float64), len(kernels.train)
    train[np.diag_indices(n)] += share * np.trace(train) / n
    guess = kernels.cross @ np.linalg.solve(train, labels[:n])
    return float(np.mean(np.sign(guess) == labels[n:]))


def in_process(train: Data, test: Data, method: Mapping[str, Any]) -> tuple[Found, Seconds]:
    """Both kernels, and the seconds that each part of them took."""
    network, took = {"layers": IMDB}, Clock()
    within = kernel_matrix(network, train.x, mask1=train.mask, method=method)
    took("train")
    cross = kernel_matrix(
        network, test.x, train.x, mask1=test.mask, mask2=train.mask, method=method
    )
    took("cross")
    prior = kernel_matrix(network, test.x, mask1=test.mask, form="diagonal", method=method)
    took("prior")
    return {name: Kernels(within[name], cross[name], prior[name]) for name in OUTPUTS}, took.seconds


def through_service(train: Data, test: Data, method: Mapping[str, Any]) -> tuple[Found, Seconds]:
    """The same by a service that has compiled and stored nothing yet; "sent" are the reviews."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as client:
        network, took = {"layers": IMDB}, Clock()
        one = client.datasets.create(train.x, train.mask)
        two = client.datasets.create(test.x, test.mask)
        took("sent")
        within = client.kernel(network, one, method=method)
        took("train")
        cross = client.kernel(network, two, one, method=method)
        took("cross")
        prior = client.kernel(network, two, form="diagonal", method=method)
        took("prior")
        return {
            "nngp": Kernels(within.nngp, cross.nngp, prior.nngp),
            "ntk": Kernels(within.ntk, cross.ntk, prior.ntk),
        }, took.seconds


def floor(train: Data, test: Data) -> Floor:
    """As in `make bench`: the products alone, of reviews that are not padded."""
    channels = train.x.shape[-1]
    t, own = train.lengths - CONVOLVED, test.lengths - CONVOLVED
    parts = [
        of_attention(CONVOLVED)(train),
        of_attention_pairs(own[:, None], t[None, :], channels),
        of_attention_pairs(own, own, channels),
    ]
    return Floor(sum(part.flops for part in parts), sum(part.bytes for part in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description="The IMDb example of arXiv 2006.10540.")
    parser.add_argument("data", help="path of the .npz file")
    parser.add_argument("--n", type=int, default=300, help="training, and test, reviews")
    parser.add_argument("--methods", nargs="+", default=["additive", "exact"])
    parser.add_argument("--service", action="store_true", help="through a service as well")
    options = parser.parse_args()
    data, labels = reviews(options.data, options.n)
    assert data.mask is not None
    halves = slice(options.n), slice(options.n, None)
    train, test = (Data(data.x[half], data.mask[half]) for half in halves)
    for name in options.methods:
        method = {"type": name}
        ways = [("library", in_process), ("service", through_service)]
        seconds: dict[str, float] = {}
        for way, compute in ways if options.service else ways[:1]:
            found, parts = compute(train, test, method)
            seconds[way] = sum(parts.values())
            line: dict[str, Any] = {"method": name, "through": way, "reviews": 2 * options.n}
            line["seconds"] = round(seconds[way], 1)
            line["parts"] = {part: round(took, 1) for part, took in parts.items()}
            for output, kernels in found.items():
                share = REGULARISATION[output]
                line[f"{output}_accuracy"] = round(accuracy(kernels, labels, share), 4)
            if way == "service":
                line["ratio"] = round(seconds["service"] / seconds["library"], 2)
            if name == "exact":
                roofline = floor(train, test).seconds(measured())
                line["times_roofline"] = round(seconds[way] / roofline, 2)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
