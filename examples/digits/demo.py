"""Handwritten digits, recognised by an infinitely wide attention network, over HTTP.

Run it with `make demo`. The script starts the service as its users would and, with the Python client,
uploads 1,797 images of 8 x 8 pixels as sequences of 8 rows, asks for the NNGP and NTK
matrices of the network below, and classifies held-out digits by kernel regression. A second run
finds every tile of the matrices in the service's cache.

Data: Optical Recognition of Handwritten Digits, UCI, CC BY 4.0 (see NOTICE).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from picture import draw_kernels
from service_process import running_service

import gramd
from gramd import spec as s

HERE = Path(__file__).resolve().parent

# Two hidden layers with attention between them, in which a row of pixels looks mostly at its
# neighbours: queries and keys carry a positional kernel exp(-|i - j|^2 / 4) besides the content.
# Picked from a few such networks by cross-validation on the training digits alone.
NETWORK = s.network(
    s.dense(w_std=1.5, b_std=0.1),
    s.relu(),
    s.attention(qk_std=2.0, positional=s.positional("sum", decay=s.decay.exponential(length=4.0))),
    s.relu(),
    s.flatten(),
    s.dense(),
)
TRAIN = 1347  # three quarters; the split is the permutation of seed 0
DIAG_REG = 1e-4  # of the mean of the diagonal


def main() -> None:
    """The whole demonstration; it exits with the service's own words when that reports a problem."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="use a running service instead of starting one")
    parser.add_argument("--data-dir", type=Path, default=Path(".gramd-demo"))
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--examples", type=int, help="only the first so many digits")
    arguments = parser.parse_args()

    digits = np.load(HERE / "digits.npz")
    images = digits["images"][: arguments.examples].astype(np.float32) / 16
    labels = digits["label"][: arguments.examples]

    try:
        if arguments.url:
            run(arguments.url, images, labels, arguments.output)
            return
        with running_service(arguments.data_dir) as url:
            run(url, images, labels, arguments.output)
    except gramd.GramdError as error:
        raise SystemExit(str(error)) from error
    print("Stopped the service. `make serve` starts one that stays.")


def run(url: str, images: np.ndarray, labels: np.ndarray, output: Path) -> None:
    """Have the kernels computed at `url`, report on them, and draw `output`/kernel.png."""
    with gramd.Client(url) as client:
        dataset = client.datasets.create(images)
        print(
            f"Uploaded {len(images)} digits as sequences of 8 rows of 8 pixels: dataset {dataset.id}"
        )
        started = time.perf_counter()
        job = client.kernels.wait(client.kernels.submit(NETWORK, dataset))
        seconds = time.perf_counter() - started
        # Float64 of what the service computed in float32.
        arrays = client.kernels.collect(job).arrays
    kernels = {name: matrix.astype(np.float64) for name, matrix in arrays.items()}

    n, tiles = len(images), (job.receipt or {})["tiles"]
    total, reused = tiles["total"], tiles["reused"]
    pairs = n * (n + 1) // 2
    print(f"Two {n} x {n} matrices ({pairs:,} pairs of digits) in {seconds:.1f} s")
    print(f"Tiles: {total - reused} computed, {reused} of {total} reused from the cache")
    if reused == total:
        print("Everything was answered from the cache; `rm -r .gramd-demo` starts afresh.")
    for name, kernel in kernels.items():
        held_out, right = classify(kernel, labels)
        print(f"{name.upper():>5}: {right / held_out:.2%} of {held_out} held-out digits right")
    print(f"Picture: {draw_kernels(kernels, labels, output / 'kernel.png')}")


def classify(kernel: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Held-out digits, and how many of them kernel regression on one-hot targets gets right."""
    order = np.random.default_rng(0).permutation(len(labels))
    cut = len(labels) * TRAIN // 1797
    train, test = order[:cut], order[cut:]
    gram = kernel[np.ix_(train, train)]
    gram[np.diag_indices(cut)] += DIAG_REG * np.trace(gram) / cut
    targets = np.eye(10)[labels[train]] - 0.1
    scores = kernel[np.ix_(test, train)] @ np.linalg.solve(gram, targets)
    return len(test), int((scores.argmax(axis=1) == labels[test]).sum())


if __name__ == "__main__":
    main()
