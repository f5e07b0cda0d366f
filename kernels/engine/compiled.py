"""Compiled functions that the threads of a process share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import jax

from kernels.code_memory import make_room, times_dropped
from kernels.compiler_options import COMPILER_OPTIONS

P = ParamSpec("P")
R = TypeVar("R")


class Compiled:
    """A compiled function; of threads that need the same shapes, one compiles and others wait.

    Attributes:
        jitted: what JAX makes of it, for lowering it elsewhere.
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
        self.seconds_each: float | None = None
        self._lock = Lock()
        self._programs: set[Any] = set()
        self._ahead: set[Any] = set()

    def __call__(self, *arguments: Any) -> Any:
        """The function of arrays and numbers."""
        program = _program(arguments)
        if program in self._programs:
            return self.jitted(*arguments)
        with self._lock:
            if program not in self._programs | self._ahead:
                make_room()
                program = _program(arguments)
            result = self.jitted(*arguments)
            self._programs.add(program)
        return result

    def ahead(self, *arguments: Any) -> None:
        """Compiles for later calls with arguments like these, or of these shapes."""
        program = _program(arguments)
        with self._lock:
            if program not in self._programs | self._ahead:
                make_room()
                self.jitted.lower(*arguments).compile()
                self._ahead.add(_program(arguments))

    def like(self, *arguments: Any) -> Any:
        """What a call would return, with shapes in place of arrays."""
        return jax.eval_shape(self.jitted, *arguments)

    @property
    def called(self) -> bool:
        """Whether it ever was: then it is compiled for most of what will come."""
        return bool(self._programs)


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
