"""How long a run takes."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Final

LONG_ENOUGH: Final = 0.3
"""Seconds of runs that one measurement takes at least. A run of 30 ms right after another process
had the caches is mostly what it costs to get them back."""


def seconds_of(run: Callable[[], object]) -> float:
    """The median of runs in a row that take `LONG_ENOUGH` together; of a long one, just one."""
    each: list[float] = []
    while sum(each) < LONG_ENOUGH:
        started = perf_counter()
        run()
        each.append(perf_counter() - started)
    return median(each)
