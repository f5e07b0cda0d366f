"""Compiled functions that the threads of a process share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

COMPILER_OPTIONS = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    "xla_cpu_prefer_vector_width": 512,
}
"""Tiles are the unit of parallelism, so XLA should use no threads of its own: loops that it cuts up
for all cores get in each other's way and carry blocks from one core's cache to another's. By
default it uses half of an AVX-512 register, and elementwise layers take a quarter longer;
processors without such registers do not care. XLA then compiles arctan and arccos wrongly, which no
rule may use: tests/kernels/engine/test_elementary.py holds those that rules do use to NumPy. Said
at each compilation and not in XLA_FLAGS, since it decides the last bits: the numbers are the same
in every process, whatever its environment."""

LARGE_PRODUCTS = COMPILER_OPTIONS | {"xla_cpu_experimental_ynn_fusion_type": ""}
"""For functions whose products of matrices are of more than 128 positions and not in batches: Eigen
computes them instead of YNNPACK, which is up to a fifth slower where a side is no multiple of 64
(GFlop/s of a core at 184: 197 against 235, at 492: 227 against 253). Never for small ones: XLA needs
more than 20 GB to compile a chain of products of 14 x 14 that YNNPACK may not have."""


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
        self._shapes: set[Any] = set()
        self._ahead: set[Any] = set()

    def __call__(self, *arguments: Any) -> Any:
        """The function of arrays and numbers."""
        shapes = _shapes(arguments)
        if shapes in self._shapes:
            return self.jitted(*arguments)
        with self._lock:
            result = self.jitted(*arguments)
            self._shapes.add(shapes)
        return result

    def ahead(self, *arguments: Any) -> None:
        """Compiles for later calls with arguments like these, or of these shapes."""
        shapes = _shapes(arguments)
        with self._lock:
            if shapes not in self._shapes | self._ahead:
                self.jitted.lower(*arguments).compile()
                self._ahead.add(shapes)

    def like(self, *arguments: Any) -> Any:
        """What a call would return, with shapes in place of arrays."""
        return jax.eval_shape(self.jitted, *arguments)

    @property
    def called(self) -> bool:
        """Whether it ever was: then it is compiled for most of what will come."""
        return bool(self._shapes)


def _shapes(arguments: Any) -> Any:
    leaves, tree = jax.tree.flatten(arguments)
    return (tree, *map(_shape, leaves))


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
