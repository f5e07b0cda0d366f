"""How fast this machine multiplies matrices and copies memory, in float32 on all its cores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_SIZE = 1024
_PRODUCTS = 8
_COPY_BYTES = 2**27


class Rates(NamedTuple):
    """What was measured.

    Attributes:
        flops: of matrix products, a second.
        bytes: read plus written by a copy between two buffers that exist, a second.
    """

    flops: float
    bytes: float


def measured() -> Rates:
    """One measurement of both, a fraction of a second."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        run = _products()
        sides = [jnp.full((_SIZE, _SIZE), 1e-3, jnp.float32) for _ in range(cores)]
        work = [(run, side) for side in sides]
        _together(pool, [lambda w=w: w[0](w[1]).block_until_ready() for w in work])
        seconds = _together(pool, [lambda w=w: w[0](w[1]).block_until_ready() for w in work])
        flops = cores * _PRODUCTS * 2 * _SIZE**3 / seconds

        pairs = [
            (np.ones(_COPY_BYTES // 4, np.float32), np.ones(_COPY_BYTES // 4, np.float32))
            for _ in range(cores)
        ]
        seconds = _together(pool, [lambda p=p: np.copyto(*p) for p in pairs])
    return Rates(flops, cores * 2 * _COPY_BYTES / seconds)


def _products() -> Any:
    """A chain of products on one thread, so that a thread a core shows the machine's rate."""

    def chain(side: jax.Array) -> jax.Array:
        return lax.fori_loop(0, _PRODUCTS, lambda _, total: side @ total, side)

    return jax.jit(chain, compiler_options={"xla_cpu_multi_thread_eigen": False})


def _together(pool: ThreadPoolExecutor, tasks: list[Any]) -> float:
    started = perf_counter()
    for future in [pool.submit(task) for task in tasks]:
        future.result()
    return perf_counter() - started
