"""How nearly additive kernels of two inputs are above an attention, and above what follows it.

    python -m benchmarks.additive_depth

The additive method rests on K[p, q] = a + u_p + v_q for the positions p of x and q of x' above an
attention, but for a small rest. Printed for each network is that rest (double-centred over real
positions) for every pair of different reviews-like inputs: its largest entry, and what it does to a
mean of K over positions after one more ReLU, both relative to the kernel. Whatever follows has that
form to start from.
"""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import IMDB, RELU, Array, Layers, attention, conv, reviews_alike
from kernels.matrix import kernel_matrix

CONV, FIRST = IMDB[0], IMDB[2]
NETWORKS: dict[str, Layers] = {
    "attention": [CONV, RELU, FIRST],
    "attention, relu": [CONV, RELU, FIRST, RELU],
    "attention, relu, conv": [CONV, RELU, FIRST, RELU, conv(5, padding="valid")],
    "attention, relu, conv same": [CONV, RELU, FIRST, RELU, conv(5)],
    "attention, relu, attention": [CONV, RELU, FIRST, RELU, attention()],
    "attention, relu, attention, relu, attention": [
        *[CONV, RELU, FIRST, RELU, attention(), RELU, attention()],
    ],
}


def rest(k: Array) -> Array:
    """What is left of (P, P') without its main effects."""
    return k - k.mean(0, keepdims=True) - k.mean(1, keepdims=True) + k.mean()


def relu_mean(k: Array, scale: float) -> float:
    """The mean over positions after a ReLU on constant variances `scale`."""
    rho = np.clip(k / scale, -1, 1)
    angle = np.arccos(rho)
    return float((scale * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)).mean())


def main() -> None:
    data = reviews_alike(6)
    assert data.mask is not None
    print("| above | largest rest / kernel | change of the mean after a ReLU |")
    print("|---|---|---|")
    for name, layers in NETWORKS.items():
        found = kernel_matrix(
            {"layers": layers}, data.x, mask1=data.mask, outputs=["nngp"], form="positions",
            dtype="float64",
        )["nngp"]  # fmt: skip
        cut = data.x.shape[1] - found.shape[-1]
        largest, change = 0.0, 0.0
        for i in range(len(data.x)):
            for j in range(i):
                k = found[i, j][: data.lengths[i] - cut, : data.lengths[j] - cut]
                own = [np.diagonal(found[n, n])[: data.lengths[n] - cut].mean() for n in (i, j)]
                scale = float(np.sqrt(own[0] * own[1]))
                mixed = rest(k)
                largest = max(largest, float(np.abs(mixed).max()) / scale)
                means = relu_mean(k, scale), relu_mean(k - mixed, scale)
                change = max(change, abs(means[0] - means[1]) / scale)
        print(f"| {name} | {largest:.0e} | {change:.0e} |", flush=True)


if __name__ == "__main__":
    main()
