"""How far float32 kernels are from float64, by depth and by how alike two inputs are.

    make accuracy

prints the table of docs/accuracy.md: ReLU networks of critical gain, the largest error of nngp and
ntk relative to sqrt(K(x, x) K(x', x')), over 64 pairs of inputs of correlation 1 - gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.matrix import kernel_matrix

DEPTHS = (1, 3, 8, 32)
GAPS = (0.5, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0.0)
PAIRS, CHANNELS = 64, 32


def pairs(gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors x and x' with x . x' = 1 - gap, as float32 holds them."""
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(2, PAIRS, CHANNELS))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    other -= (other * x).sum(1, keepdims=True) * x
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    rho = 1 - gap
    turned = rho * x + np.sqrt(1 - rho**2) * other
    return x.astype(np.float32), turned.astype(np.float32)


def errors(depth: int, gap: float) -> dict[str, float]:
    """The largest error of each kernel."""
    layers: list[dict[str, Any]] = [{"type": "dense", "w_std": 2**0.5}, {"type": "relu"}] * depth
    network = {"layers": [*layers, {"type": "dense"}]}
    x1, x2 = pairs(gap)
    single = kernel_matrix(network, x1, x2, form="diagonal")
    double = kernel_matrix(network, x1, x2, form="diagonal", dtype="float64")
    own1, own2 = (kernel_matrix(network, x, form="diagonal", dtype="float64") for x in (x1, x2))
    return {
        output: float((np.abs(single[output] - exact) / np.sqrt(own1[output] * own2[output])).max())
        for output, exact in double.items()
    }


def main() -> None:
    print("| 1 - correlation | " + " | ".join(f"{depth} layers" for depth in DEPTHS) + " |")
    print("|---|" + "---|" * len(DEPTHS))
    for gap in GAPS:
        cells = [errors(depth, gap) for depth in DEPTHS]
        shown = [f"{cell['nngp']:.0e} / {cell['ntk']:.0e}" for cell in cells]
        print(f"| {gap:g} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    main()
