"""How long a tile was held up by compiling, on whichever threads its calls ran."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from kernels.engine.compiled import WAITED

# What JAX reports of a program's way from Python to machine code, or from its cache on disk, and what
# kernels report of one that another thread or process is compiling.
_EVENTS = frozenset(
    f"/jax/core/compile/{name}_duration"
    for name in ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
) | {WAITED}


class Spent:
    """Seconds in which any thread was compiling or waiting for a program; those of two at a time, or
    of a program within another, count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._until = time.monotonic()
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Something took so long, until now."""
        with self._lock:
            now = time.monotonic()
            self.seconds += max(0.0, now - max(self._until, now - seconds))
            self._until = now


_current: ContextVar[Spent | None] = ContextVar("current", default=None)


@contextmanager
def counted() -> Generator[Spent]:
    """Counts what is spent inside."""
    spent = Spent()
    token = _current.set(spent)
    try:
        yield spent
    finally:
        _current.reset(token)


@cache
def listen() -> None:
    """Have JAX report from now on; once is enough."""
    import jax.monitoring

    jax.monitoring.register_event_duration_secs_listener(_take)


def _take(event: str, duration_secs: float, **_: str | int) -> None:
    spent = _current.get()
    if event in _EVENTS and spent is not None:
        spent.add(duration_secs)
