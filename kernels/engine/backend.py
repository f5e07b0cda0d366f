"""What depends on the machine and not on the algorithm: micro-tiles, threads, compiled code.

On a CPU the whole network runs on few pairs while their blocks are in cache, and tiles run side
by side in threads; a GPU wants micro-tiles that fill it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Policy:
    """How a backend wants its work cut.

    Attributes:
        block_elements: entries of the (P, P') blocks of all pairs of one micro-tile, together.
        alone: entries of a pair's block from which on, where blocks go through products of
            matrices, the pair is a micro-tile.
        largest_edge: inputs a side of a micro-tile, at most.
        call_seconds: how long one compiled call should run before the stop flag is looked at.
    """

    block_elements: int
    alone: int
    largest_edge: int
    call_seconds: float = 0.1


POLICIES: Final = {
    "cpu": Policy(block_elements=2**14, alone=2**9, largest_edge=128),
    "gpu": Policy(block_elements=2**24, alone=2**24, largest_edge=512),
}
"""By JAX platform; a CPU block of 2^14 float32 entries is 64 KiB, so that a dozen stay in L2. For
batches of products XLA takes up to three times as long as for one after the other; below 23
positions (2^9 entries) the steps between them cost as much."""


def policy(platform: str) -> Policy:
    """The policy of a JAX platform ("cpu", "gpu", "cuda", "rocm")."""
    return POLICIES["cpu" if platform == "cpu" else "gpu"]


def micro_tile_edge(chosen: Policy, elements_per_pair: int, products: bool, rows: int) -> int:
    """Inputs a side of a micro-tile: a power of two that fits the policy and the rows.

    Args:
        chosen: the policy.
        elements_per_pair: entries of the largest block that a pair of inputs needs.
        products: whether blocks go through products of matrices.
        rows: of the smaller group.
    """
    edge = 1
    if products and elements_per_pair >= chosen.alone:
        return edge
    while (
        2 * edge <= min(chosen.largest_edge, rows)
        and (2 * edge) ** 2 * elements_per_pair <= chosen.block_elements
    ):
        edge *= 2
    return edge


def tile_threads(workers: int) -> int:
    """Tiles that one of `workers` processes on this machine computes at once; 1 on a GPU."""
    import jax

    if jax.default_backend() != "cpu":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // workers)


def keep_compiled_code(directory: str) -> None:
    """Keeps compiled code in `directory`, however fast it compiled, for this and later processes.

    By default JAX keeps only what took longer than a second, which most tiles do not.
    """
    import jax

    Path(directory).mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
