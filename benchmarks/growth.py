"""How time grows with inputs, positions, depth and channels: measured against theory, and a plot.

    make bench-growth       prints one JSON line a point, draws docs/images/growth.png

Theory: n^2 for inputs; T^3 for the exact attention of T positions and T^2 for the additive one;
linear in the number of layers; flat in channels while the product of raw inputs is a small part.
The exponent is the slope of a straight line through the logarithms of the larger half of points.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.workloads import POOL, RELU, Array, Layers, attention, dense
from kernels.matrix import kernel_matrix

ADDITIVE: Final = {"type": "additive", "tolerance": 1.0}
EXACT: Final = {"type": "exact"}


@dataclass(frozen=True)
class Series:
    """One thing that grows.

    Attributes:
        name: what grows, and in which network.
        theory: the exponent expected of large values.
        values: what it takes.
        case: a value to (layers, shape of the inputs, method).
    """

    name: str
    theory: float
    values: tuple[int, ...]
    case: Callable[[int], tuple[Layers, tuple[int, ...], dict[str, Any]]]


def network(depth: int = 1) -> Layers:
    """Attention and relu `depth` times over, pooled."""
    return [dense(), RELU, *[attention(), RELU] * depth, POOL, dense()]


SERIES: Final = (
    Series("inputs n (attention, T 64)", 2, (32, 64, 128, 256, 512),
           lambda n: (network(), (n, 64, 16), EXACT)),
    Series("positions T (exact)", 3, (64, 128, 256, 512),
           lambda t: (network(), (16, t, 16), EXACT)),
    Series("positions T (additive)", 2, (64, 128, 256, 512),
           lambda t: (network(), (64, t, 16), ADDITIVE)),
    Series("attention layers", 1, (1, 2, 4, 8), lambda d: (network(d), (32, 128, 16), EXACT)),
    Series("channels (attention, T 128)", 0, (4, 16, 64, 256),
           lambda c: (network(), (48, 128, c), EXACT)),
)  # fmt: skip


def seconds(layers: Layers, x: Array, method: dict[str, Any], rounds: int) -> float:
    """The median of some runs; the first, which compiles, does not count."""
    times = []
    for _ in range(rounds + 1):
        started = perf_counter()
        kernel_matrix({"layers": layers}, x, method=method)
        times.append(perf_counter() - started)
    return median(times[1:])


def inputs(shape: tuple[int, ...]) -> Array:
    """Noise around a vector of each input's own: the means of long inputs of noise alone are all
    alike, and near duplicates are what the additive evaluation leaves to the exact one."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(shape[0], 1, shape[2]))
    return (own + rng.normal(size=shape)).astype(np.float32)


def slope(values: Array, times: Array) -> float:
    """The exponent of the larger half."""
    half = len(values) // 2
    return float(np.polyfit(np.log(values[half:]), np.log(times[half:]), 1)[0])


def draw(measured: dict[str, tuple[Array, Array]], path: Path) -> None:
    """A panel for each series: what was measured, and theory through the last point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, series in zip(figure.subplots(1, len(SERIES)), SERIES, strict=True):
        values, times = measured[series.name]
        theory = times[-1] * (values / values[-1]) ** series.theory
        axes.loglog(values, theory, "--", color="0.6", label=f"exponent {series.theory:g}")
        axes.loglog(values, times, "o-", label="measured")
        axes.set(title=series.name, ylabel="seconds")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
        # A decade at least, so that noise does not look like growth.
        middle = (times.min() * times.max()) ** 0.5
        low, high = min(times.min() / 1.3, middle / 3.2), max(times.max() * 1.3, middle * 3.2)
        axes.set_ylim(low, high)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="How time grows.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/growth.png"))
    options = parser.parse_args()
    measured: dict[str, tuple[Array, Array]] = {}
    for series in SERIES:
        times = []
        for value in series.values:
            layers, shape, method = series.case(value)
            x = inputs(shape)
            times.append(seconds(layers, x, method, options.rounds))
        measured[series.name] = np.array(series.values, float), np.array(times)
        line = {
            "grows": series.name,
            "values": series.values,
            "seconds": [round(t, 4) for t in times],
            "exponent": round(slope(*measured[series.name]), 2),
            "theory": series.theory,
        }
        print(json.dumps(line), flush=True)
    draw(measured, options.picture)


if __name__ == "__main__":
    main()
