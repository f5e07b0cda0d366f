"""Small photographs: convolutional networks of infinite width, with attention and without.

    make results-cifar DATA=path/to/cifar10.npz            # minutes on one core

The file holds `images` (n, 32, 32, 3) and `label` (n,). Attention over all 32 x 32 positions costs
1,024^3 a pair, so that, as the papers do with strides and pooling, positions are made fewer first: a
convolution with windows of 4 x 4 pixels and strides of 4 leaves 8 x 8. It is computed as a dense
layer on patches of 48 channels, which is the same kernel (tests/test_results.py).

Half of the images are learnt from and half tested on, in ten seeded splits; every network is
computed once, and regularised by leave-one-out on the training images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

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

NETWORKS: Final[dict[str, Layers]] = {
    "conv, flatten": [*BELOW, FLATTEN, LAST],
    "conv, conv, flatten": [*BELOW, conv(3, 3), RELU, FLATTEN, LAST],
    "conv, attention, flatten": [*BELOW, attention(), RELU, FLATTEN, LAST],
    "conv, attention + positions, flatten": [
        *BELOW,
        attention(positional=DECAY),
        RELU,
        FLATTEN,
        LAST,
    ],
    "conv, pool": [*BELOW, POOL, LAST],
    "conv, conv, pool": [*BELOW, conv(3, 3), RELU, POOL, LAST],
    "conv, attention, pool": [*BELOW, attention(), RELU, POOL, LAST],
    "conv, attention + positions, pool": [*BELOW, attention(positional=DECAY), RELU, POOL, LAST],
}


def patches(images: Array) -> Array:
    """(n, H, W, C) cut into squares of PATCH pixels: (n, H / PATCH, W / PATCH, C PATCH^2)."""
    n, height, width, channels = images.shape
    rows, columns = height // PATCH, width // PATCH
    cut = images.reshape(n, rows, PATCH, columns, PATCH, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cut.reshape(n, rows, columns, PATCH * PATCH * channels))


def right(kernel: Array, labels: Array, train: int, count: int) -> list[float]:
    """The accuracy of every split."""
    return [
        float(np.mean(classify(kernel, labels, chosen, test)[0] == labels[test]))
        for chosen, test in splits(len(labels), train, count)
    ]


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
        images = file["images"][: options.n].astype(np.float32) / 255 - 0.5
        labels = file["label"][: options.n].astype(int)
    data, train = Data(patches(images)), options.n // 2
    head(f"right of {len(labels) - train} images, %", "nngp", "ntk", "seconds")
    for name, layers in NETWORKS.items():
        made = compute(layers, data, folder=options.keep)
        shares = [
            percent(right(made.matrices[output], labels, train, options.splits))
            for output in ("nngp", "ntk")
        ]
        row([name, *shares, f"{made.seconds:.0f}"])
    pixels = data.x.reshape(len(labels), -1)
    row(
        [
            "logistic regression on pixels",
            percent(right_by_peer(pixels, labels, train, options.splits)),
            "-",
            "-",
        ]
    )


if __name__ == "__main__":
    main()
