"""The infinite-attention authors' IMDb example: 300 + 300 reviews, exact and additive.

    make bench-imdb DATA=path/to/imdb.npz

The file holds `ids` and `offsets` (tokens of all reviews, cut at 500), `embeddings` (GloVe, 50
channels), `label` and `is_train`. For each method: seconds for all 600 x 600 pairs, compilation
included, and the accuracy of kernel regression with both kernels; of the exact one the ratio to this
machine's roofline too.

    make bench-imdb DATA=path/to/imdb.npz ARGS="--service --methods additive"

computes them through a service as well, which compiles everything anew, too: from arrays that are sent to
matrices that have come. It is started in a folder of its own, and is ready before that begins.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.roofline import measured
from benchmarks.service import serving
from benchmarks.workloads import IMDB, Array, Data, of_attention
from kernels.matrix import kernel_matrix

LONGEST = 500
REGULARISATION = {"nngp": 1e-2, "ntk": 1e-6}
"""Added to the diagonal, in units of its mean: as the authors', and for the nngp what suits it."""


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


def accuracy(kernel: Array, labels: Array, n: int, share: float) -> float:
    """Of kernel regression on the second half of the rows."""
    train = kernel[:n, :n].astype(np.float64)
    train[np.diag_indices(n)] += share * np.trace(train) / n
    guess = kernel[n:, :n] @ np.linalg.solve(train, labels[:n])
    return float(np.mean(np.sign(guess) == labels[n:]))


def in_process(data: Data, method: Mapping[str, Any]) -> tuple[Mapping[str, Array], float]:
    """Both kernels, and the seconds that they took."""
    return _timed(lambda: kernel_matrix({"layers": IMDB}, data.x, mask1=data.mask, method=method))


def through_service(data: Data, method: Mapping[str, Any]) -> tuple[Mapping[str, Array], float]:
    """The same by a service that has compiled and stored nothing yet."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as client:

        def kernels() -> Mapping[str, Array]:
            x = client.datasets.create(data.x, data.mask)
            found = client.kernel({"layers": IMDB}, x, method=method)
            return {"nngp": found.nngp, "ntk": found.ntk}

        return _timed(kernels)


def _timed(
    kernels: Callable[[], Mapping[str, Array]],
) -> tuple[Mapping[str, Array], float]:
    started = perf_counter()
    return kernels(), perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="The IMDb example of arXiv 2006.10540.")
    parser.add_argument("data", help="path of the .npz file")
    parser.add_argument("--n", type=int, default=300, help="training, and test, reviews")
    parser.add_argument("--methods", nargs="+", default=["additive", "exact"])
    parser.add_argument("--service", action="store_true", help="through a service as well")
    options = parser.parse_args()
    data, labels = reviews(options.data, options.n)
    for name in options.methods:
        method = {"type": name}
        ways = [("library", in_process), ("service", through_service)]
        seconds: dict[str, float] = {}
        for way, compute in ways if options.service else ways[:1]:
            kernels, seconds[way] = compute(data, method)
            line: dict[str, Any] = {"method": name, "through": way, "reviews": 2 * options.n}
            line["seconds"] = round(seconds[way], 1)
            for output, kernel in kernels.items():
                share = REGULARISATION[output]
                line[f"{output}_accuracy"] = round(accuracy(kernel, labels, options.n, share), 4)
            if way == "service":
                line["ratio"] = round(seconds["service"] / seconds["library"], 2)
            if name == "exact":
                # As in `make bench`: the products alone, of reviews that are not padded.
                roofline = of_attention(cut=8)(data).seconds(measured())
                line["times_roofline"] = round(seconds[way] / roofline, 2)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
