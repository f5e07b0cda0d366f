"""Small photographs: convolutional networks of infinite width, with attention and without.

    make results-cifar DATA=path/to/cifar10.npz            # minutes on one core

The file holds `images` (n, 32, 32, 3) and `label` (n,). Attention over all 32 x 32 positions costs
1,024^3 a pair, so that, as the papers do with strides and pooling, positions are made fewer first: a
convolution with windows of 4 x 4 pixels and strides of 4 leaves 8 x 8. It is computed as a dense
layer on patches of 48 channels, which is the same kernel (tests/test_results.py).

Half of the images are learnt from and half tested on, in ten seeded splits; every network is
computed once. diag_reg and, of attention, qk_std are chosen by leave-one-out on the training images.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.results.computed import compute
from benchmarks.results.learning import classify
from benchmarks.results.splits import head, percent, row, splits
from benchmarks.workloads import POOL, RELU, Array, Data, Layers, attention, conv, dense

PATCH: Final = 4
LAST: Final = {"type": "dense"}
FLATTEN: Final = {"type": "flatten"}
BELOW: Final[Layers] = [dense(), RELU, conv(3, 3), RELU]
"""Patches, then a 3 x 3 convolution of them."""
DECAY: Final = {"merge": "sum", "decay": {"type": "exponential", "length": 4.0}}

SHARPNESS: Final = (1.0, 8.0, 64.0)
"""Values of qk_std to choose from. Logits differ within a row by about 0.2 times it: attention that is
nearly uniform, mild, and sharp."""

Family = dict[str, Layers]
"""Networks by what tells them apart; leave-one-out chooses one in every split."""


def _with_attention(readout: dict[str, Any], **parameters: Any) -> Family:
    return {
        f"qk_std {qk_std:g}": [*BELOW, attention(qk_std=qk_std, **parameters), RELU, readout, LAST]
        for qk_std in SHARPNESS
    }


FAMILIES: Final[dict[str, Family]] = {
    "conv, flatten": {"-": [*BELOW, FLATTEN, LAST]},
    "conv, conv, flatten": {"-": [*BELOW, conv(3, 3), RELU, FLATTEN, LAST]},
    "conv, attention + positions, flatten": _with_attention(FLATTEN, positional=DECAY),
    "conv, pool": {"-": [*BELOW, POOL, LAST]},
    "conv, conv, pool": {"-": [*BELOW, conv(3, 3), RELU, POOL, LAST]},
    "conv, attention, pool": _with_attention(POOL),
    "conv, attention + positions, pool": _with_attention(POOL, positional=DECAY),
}
COMPARED: Final = (
    ("conv, attention + positions, flatten", "conv, conv, flatten"),
    ("conv, attention, pool", "conv, conv, pool"),
    ("conv, attention + positions, pool", "conv, conv, pool"),
)


def patches(images: Array) -> Array:
    """(n, H, W, C) cut into squares of PATCH pixels: (n, H / PATCH, W / PATCH, C PATCH^2)."""
    n, height, width, channels = images.shape
    rows, columns = height // PATCH, width // PATCH
    cut = images.reshape(n, rows, PATCH, columns, PATCH, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cut.reshape(n, rows, columns, PATCH * PATCH * channels))


def right(
    kernels: dict[str, Array], labels: Array, train: int, count: int
) -> tuple[list[float], Counter[str]]:
    """The accuracy of every split, and how often each network of a family was chosen."""
    shares: list[float] = []
    chosen: Counter[str] = Counter()
    for rows, test in splits(len(labels), train, count):
        made = {name: classify(kernel, labels, rows, test) for name, kernel in kernels.items()}
        best = min(made, key=lambda name: made[name][1].loo.mse)
        chosen[best] += 1
        shares.append(float(np.mean(made[best][0] == labels[test])))
    return shares, chosen


def right_by_peer(x: Array, labels: Array, train: int, count: int) -> list[float]:
    """The accuracy of every split, of logistic regression on pixels."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    search = GridSearchCV(model, {"logisticregression__C": [1e-4, 1e-3, 1e-2]}, cv=3)
    return [
        float(search.fit(x[chosen], labels[chosen]).score(x[test], labels[test]))
        for chosen, test in splits(len(labels), train, count)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="path of the .npz file")
    parser.add_argument("--n", type=int, default=1000, help="images, half of them to learn from")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="a folder for kernels, to go on after a stop")
    options = parser.parse_args(arguments)
    with np.load(options.data) as file:
        images = (
            file["images"][: options.n].astype(np.float32) / 64 - 2
        )  # a mean of about 0, a deviation of about 1
        labels = file["label"][: options.n].astype(int)
    data, train = Data(patches(images)), options.n // 2
    head(f"right of {len(labels) - train} images, %", "nngp", "chosen", "ntk", "chosen", "seconds")
    found: dict[str, list[list[float]]] = {}
    for name, family in FAMILIES.items():
        made = {one: compute(layers, data, folder=options.keep) for one, layers in family.items()}
        cells: list[str] = []
        for output in ("nngp", "ntk"):
            kernels = {one: computed.matrices[output] for one, computed in made.items()}
            shares, chosen = right(kernels, labels, train, options.splits)
            found.setdefault(name, []).append(shares)
            often = ", ".join(f"{one} ({times})" for one, times in chosen.most_common())
            cells += [percent(shares), "-" if len(family) == 1 else often]
        row([name, *cells, f"{sum(one.seconds for one in made.values()):.0f}"])
    pixels = data.x.reshape(len(labels), -1)
    peer = right_by_peer(pixels, labels, train, options.splits)
    row(["logistic regression on pixels", percent(peer), "-", "-", "-", "-"])

    print()
    head("the same splits, %", "nngp", "ntk")
    for ours, other in COMPARED:
        sides = zip(found[ours], found[other], strict=True)
        apart = [[a - b for a, b in zip(*side, strict=True)] for side in sides]
        row([f"{ours} minus {other}", *map(percent, apart)])


if __name__ == "__main__":
    main()
