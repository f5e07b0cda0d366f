"""How long JAX spent on compiling rather than computing, thread by thread."""

import threading
from functools import cache

# What JAX reports of a program's way from Python to machine code, or from its cache on disk.
_EVENTS = frozenset(
    f"/jax/core/compile/{name}_duration"
    for name in ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
)
_spent = threading.local()


@cache
def listen() -> None:
    """Have JAX report from now on; once is enough."""
    import jax.monitoring

    jax.monitoring.register_event_duration_secs_listener(_take)


def spent() -> float:
    """Seconds that this thread has spent on compiling so far, those of nested programs twice."""
    return getattr(_spent, "seconds", 0.0)


def _take(event: str, duration_secs: float, **_: str | int) -> None:
    if event in _EVENTS:
        _spent.seconds = spent() + duration_secs
