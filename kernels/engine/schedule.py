"""Lists of pairs, cut into compiled calls that run about as long as they should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import TypeVar

import jax
import numpy as np
import numpy.typing as npt

from kernels.engine.compiled import Compiled
from kernels.engine.workspace import Workspace
from kernels.errors import Stopped

T = TypeVar("T")
PairList = npt.NDArray[np.int64]
"""Pairs by their places along both sides, (m, 2)."""

ShouldStop = Callable[[], bool]

_WORTH_A_CALL = 0.005
"""Seconds below which work is not cut any further: a call costs some 0.3 ms, and other tiles keep
the other threads busy."""


def in_calls(
    run: Compiled,
    pairs: PairList,
    compute: Callable[[PairList], T],
    most: int,
    seconds: float,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> Iterator[tuple[PairList, T]]:
    """What `compute` makes of some of the pairs, and which, until all are there; several calls run
    at once on the threads of the workspace.

    Args:
        run: the compiled function that `compute` calls; it remembers its pace.
        pairs: what is to be computed, each once; there may be none (i < j of a single input).
        compute: computes some of them; may run on another thread.
        most: pairs a call can take.
        seconds: how long a call should take.
        workspace: the threads.
        should_stop: asked between calls.

    Raises:
        Stopped: `should_stop` said so.
    """
    if not len(pairs):
        return
    pace = _Pace(run, most, seconds)
    # x64 is a setting of the thread, which a call has to carry to the one it runs on.
    x64 = jax.config.read("jax_enable_x64")

    def ask() -> None:
        if should_stop is not None and should_stop():
            raise Stopped

    def call(chunk: PairList) -> tuple[PairList, T]:
        started = perf_counter()
        with jax.enable_x64(x64):
            made = compute(chunk)
        pace.took(len(chunk), perf_counter() - started)
        return chunk, made

    def calls() -> Iterator[Callable[[], tuple[PairList, T]]]:
        done = 0
        while done < len(pairs):
            ask()
            step = pace.step(len(pairs) - done, workspace.share)
            yield partial(call, pairs[done : done + step])
            done += step

    if pace.step(len(pairs), workspace.share) == len(pairs):
        # On this thread: to hand a tile's only call to another one costs a tenth of a small call.
        ask()
        yield workspace.run(partial(call, pairs))
    else:
        yield from workspace.results(calls())


def all_pairs(rows: int, columns: int, right_of: int | None = None) -> PairList:
    """Pairs (i, j) of so many rows and columns, row by row; only those with j - i > right_of, if said."""
    left_out = np.zeros((rows, columns), bool)
    if right_of is not None:
        left_out = np.tri(rows, columns, right_of, bool)
    return np.argwhere(~left_out)


def listing(pairs: PairList, most: int) -> tuple[npt.NDArray[np.uint32], np.uint32]:
    """Pairs as arguments of a compiled call: (most, 2), filled up with zeros, and how many they are.

    Without a sign: what might be negative JAX counts from the end, which is a loop of its own to
    compile wherever it is an index.
    """
    listed = np.zeros((most, 2), np.uint32)
    listed[: len(pairs)] = pairs
    return listed, np.uint32(len(pairs))


class _Pace:
    """How many pairs a call takes; no number depends on it, and nothing is compiled anew.

    The first call ever takes one pair, and each later one at most twice as many as the one before
    it: the first may have been slow to compile, or its pair a short one.
    """

    def __init__(self, run: Compiled, most: int, seconds: float) -> None:
        self._run = run
        self._most = most
        self._seconds = seconds
        self._step = 1 if run.seconds_each is None else self._in(seconds, run.seconds_each)

    def took(self, done: int, seconds: float) -> None:
        """Learns from a call."""
        self._run.seconds_each = seconds / done
        self._step = min(2 * max(done, self._step), self._in(self._seconds, seconds / done))

    def step(self, left: int, threads: int) -> int:
        """Pairs of the next call, of `left` that the threads share and should end together."""
        share = left
        if threads > 1 and self._run.seconds_each is not None:
            share = max(-(-left // (2 * threads)), self._in(_WORTH_A_CALL, self._run.seconds_each))
        return min(left, self._step, share)

    def _in(self, seconds: float, seconds_each: float) -> int:
        """Pairs that a call of so many seconds does."""
        return max(1, min(self._most, int(seconds / max(seconds_each, 1e-7))))
