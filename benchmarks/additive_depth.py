"""How nearly additive kernels of two inputs are above an attention, and above what follows it.

    python -m benchmarks.additive_depth

The additive method rests on K[p, q] = a + u_p + v_q for the positions p of x and q of x' above an
attention, but for a small rest. Printed for each network is that rest (double-centred over real
positions) for every pair of different reviews-like inputs: its largest entry, and what it does to a
mean of K over positions after one more ReLU, both relative to the kernel. Whatever follows has that
form to start from.

Then what the additive evaluation would make of two attentions, one above the other: additive from the
first on, or exact up to the last as kernels/engine/additive.py has it, beside the exact kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.workloads import IMDB, RELU, Array, Data, Layers, attention, conv, reviews_alike
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


def relu(k: Array, p: Array, q: Array) -> Array:
    """The nngp above a ReLU, from that below it and the variances of both sides."""
    scale = np.sqrt(p * q)
    rho = np.clip(k / scale, -1, 1)
    angle = np.arccos(rho)
    return scale * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)


def relu_mean(k: Array, scale: float) -> float:
    """The mean over positions after a ReLU on constant variances `scale`."""
    same = np.array(scale)
    return float(relu(k, same, same).mean())


@dataclass(frozen=True)
class Mixed:
    """One input at an attention: A(x), and the variances above it."""

    mixing: Array
    variances: Array

    @classmethod
    def of(cls, own: Array, sharpness: float) -> Mixed:
        """From its kernel with itself below the attention."""
        weights = np.exp(sharpness * (own - own.max(1, keepdims=True)))
        mixing = weights / weights.sum(1, keepdims=True)
        return cls(mixing, np.diagonal(mixing @ own @ mixing.T))


def means_after_relu(
    rows: Array, columns: Array, left: Array, right: Array, u: Array, v: Array
) -> tuple[Array, Array]:
    """Means over columns and over rows of the kernel above a ReLU, from those below it.

    Args:
        rows: means over the columns, by v, (P,).
        columns: means over the rows, by u, (P',).
        left: variances of the rows, (P,).
        right: of the columns, (P',).
        u: weights of the rows.
        v: weights of the columns.
    """
    of_rows = relu(rows, left, v @ right)
    of_columns = relu(columns, u @ left, right)
    middle = relu(u @ rows, u @ left, v @ right)
    return of_rows + v @ of_columns - middle, of_columns + u @ of_rows - middle


def two_attentions(data: Data, sharpness: float) -> tuple[float, float]:
    """Largest errors of the kernels of [conv, relu, (attention, relu) twice, pool]: additive above
    the last attention, and above the first; relative to sqrt(K(x, x) K(x', x'))."""
    below = kernel_matrix(
        {"layers": [CONV, RELU]}, data.x, mask1=data.mask, outputs=["nngp"], form="positions",
        dtype="float64",
    )["nngp"]  # fmt: skip
    lengths = data.lengths - (data.x.shape[1] - below.shape[-1])
    firsts: list[Mixed] = []
    seconds: list[Mixed] = []
    own: list[float] = []
    for i, size in enumerate(lengths):
        k = below[i, i][:size, :size]
        first = Mixed.of(k, sharpness)
        p = first.variances
        above = relu(first.mixing @ k @ first.mixing.T, p[:, None], p[None])
        second = Mixed.of(above, sharpness)
        q = second.variances
        firsts, seconds = [*firsts, first], [*seconds, second]
        own.append(relu(second.mixing @ above @ second.mixing.T, q[:, None], q[None]).mean())
    worst_last, worst_first = 0.0, 0.0
    for i, size in enumerate(lengths):
        for j in range(i):
            k = below[i, j][:size, : lengths[j]]
            a, b, c, d = firsts[i], firsts[j], seconds[i], seconds[j]
            u, v = np.full(size, 1 / size), np.full(lengths[j], 1 / lengths[j])
            k = a.mixing @ k @ b.mixing.T
            weights = c.mixing.T @ u, d.mixing.T @ v
            sides = a.variances, b.variances
            above = c.mixing @ relu(k, sides[0][:, None], sides[1][None]) @ d.mixing.T
            exact = relu(above, c.variances[:, None], d.variances[None]).mean()
            ends = c.variances, d.variances, u, v
            last, _ = means_after_relu(above @ v, u @ above, *ends)
            rows, columns = means_after_relu(k @ weights[1], weights[0] @ k, *sides, *weights)
            first, _ = means_after_relu(c.mixing @ rows, d.mixing @ columns, *ends)
            scale = np.sqrt(own[i] * own[j])
            worst_last = max(worst_last, abs(u @ last - exact) / scale)
            worst_first = max(worst_first, abs(u @ first - exact) / scale)
    return worst_last, worst_first


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
    print("\n| qk_std of two attentions | additive above the last | additive above the first |")
    print("|---|---|---|")
    for sharpness in (1.0, 4.0, 16.0, 64.0):
        last, first = two_attentions(data, sharpness)
        print(f"| {sharpness:g} | {last:.0e} | {first:.0e} |", flush=True)


if __name__ == "__main__":
    main()
