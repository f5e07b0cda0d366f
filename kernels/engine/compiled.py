"""Compiled functions that the threads of a process share, and what processes share through a folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import Lock
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

import jax
import jax.monitoring

from kernels.code_memory import make_room, times_dropped
from kernels.compiler_options import COMPILER_OPTIONS
from kernels.engine.program_lock import program_lock

P = ParamSpec("P")
R = TypeVar("R")

WAITED: Final = "/gramd/program_wait_duration"
"""What `jax.monitoring` is told of a call that waited for a program that another one was compiling."""


class Compiled:
    """A compiled function; of threads that need the same shapes, one compiles and others wait.

    So do processes that keep compiled code in one folder (`backend.keep_compiled_code`).

    Attributes:
        jitted: what JAX makes of it, for lowering it elsewhere.
        called: whether it ever was: then it is compiled for most of what will come.
        seconds_each: of a function of a list, what an item took when it was last called.
    """

    def __init__(
        self, function: Callable[..., Any], options: dict[str, Any] = COMPILER_OPTIONS
    ) -> None:
        def precise(*arguments: Any) -> Any:
            # A GPU's TF32 would break the accuracy contract.
            with jax.default_matmul_precision("highest"):
                return function(*arguments)

        self.jitted = jax.jit(precise, compiler_options=options)
        self.called = False
        self.seconds_each: float | None = None
        self._lock = Lock()
        self._programs: set[Any] = set()

    def __call__(self, *arguments: Any) -> Any:
        """The function of arrays and numbers."""
        if _program(arguments) not in self._programs:
            asked = perf_counter()
            with self._lock:
                _say_waited(asked)
                self._compile(arguments, wait=True)
        self.called = True
        return self.jitted(*arguments)

    def ahead(self, *arguments: Any) -> None:
        """Compiles for later calls with arguments like these, or of these shapes; where another
        thread or process is at it, that is enough."""
        if self._lock.acquire(blocking=False):
            try:
                self._compile(arguments, wait=False)
            finally:
                self._lock.release()

    def like(self, *arguments: Any) -> Any:
        """What a call would return, with shapes in place of arrays."""
        return jax.eval_shape(self.jitted, *arguments)

    def _compile(self, arguments: Any, wait: bool) -> None:
        """Has the program, unless it need not `wait` for another process that is compiling it."""
        if _program(arguments) in self._programs:
            return
        make_room()
        lowered = self.jitted.lower(*arguments)
        asked = perf_counter()
        folder = jax.config.values["jax_compilation_cache_dir"]
        with program_lock(folder, lowered.as_text, wait) as free:
            if free or wait:
                _say_waited(asked)
                lowered.compile()
                self._programs.add(_program(arguments))


def _say_waited(since: float) -> None:
    jax.monitoring.record_event_duration_secs(WAITED, perf_counter() - since)


def _program(arguments: Any) -> Any:
    """Which program a call takes: by its shapes, and anew once all programs were dropped."""
    leaves, tree = jax.tree.flatten(arguments)
    return (times_dropped(), tree, *map(_shape, leaves))


def _shape(leaf: Any) -> Any:
    """What a leaf is compiled for: an array's shape and dtype, or the type of a Python number."""
    return (leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else type(leaf)


def locked_cache(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """An `lru_cache` that never makes two values for one key, from however many threads."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        found, lock = lru_cache(most)(function), Lock()

        @wraps(function)
        def locked(*arguments: P.args, **named: P.kwargs) -> R:
            with lock:
                return found(*arguments, **named)

        return locked

    return decorate
