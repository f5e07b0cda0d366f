"""Seeded splits of data, and figures with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.workloads import Array


def splits(n: int, train: int, count: int) -> Iterator[tuple[Array, Array]]:
    """`count` times the numbers of `train` rows and of all others; split s has the seed s."""
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(n)
        yield order[:train], order[train:]


def spread(values: Sequence[float], digits: int) -> str:
    """The mean over splits ± its standard error; splits share rows, so it is a little too small."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def percent(shares: Sequence[float]) -> str:
    """`spread` of shares, in percent."""
    return spread([100 * share for share in shares], 1)


def row(cells: Iterable[object]) -> None:
    """Prints a row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*names: str) -> None:
    """Prints the head of a table."""
    row(names)
    print("|" + "---|" * len(names), flush=True)
