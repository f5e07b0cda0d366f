"""The peer, neural-tangents, on the same workloads; runs in its own virtual environment.

A server on standard input and output, so that its runs can alternate with ours: each line
{"workload": name, "batch": size} is answered by one line {"seconds": s}; the first of a pair
includes compilation. A batch of 0 takes all inputs at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import neural_tangents as nt
import numpy as np
from neural_tangents import stax

from benchmarks.timing import seconds_of
from benchmarks.workloads import WORKLOADS

MASKED = 1e6
"""Stands in x for a position that is not real."""


def layer(spec: dict[str, Any]) -> Any:
    """The peer's layer for one of ours."""
    kind, w_std, b_std = spec["type"], spec.get("w_std", 1.0), spec.get("b_std", 0.0)
    if kind == "dense":
        return stax.Dense(1, W_std=w_std, b_std=b_std)
    if kind == "conv":
        padding = spec.get("padding", "same").upper()
        return stax.Conv(1, tuple(spec["window"]), padding=padding, W_std=w_std, b_std=b_std)
    if kind == "relu":
        return stax.Relu()
    if kind == "global_avg_pool":
        return stax.GlobalAvgPool()
    if kind == "flatten":
        return stax.Flatten()
    assert kind == "attention", kind
    positions: dict[str, Any] = {}
    if "positional" in spec:
        positions = {
            "pos_emb_type": "SUM",
            "W_pos_emb_std": 1.0,
            "pos_emb_decay_fn": lambda d: 1 / (1 + d**2),
        }
    return stax.GlobalSelfAttention(1, 1, 1, 1, linear_scaling=True, **positions)


@cache
def prepared(name: str, batch: int) -> Callable[[], None]:
    """One run of a workload, (compiled function, inputs) kept from call to call."""
    workload = next(each for each in WORKLOADS if each.name == name)
    kernel_fn = stax.serial(*map(layer, workload.layers))[2]
    data = workload.data()
    x, options = data.x, {}
    if data.mask is not None:
        x = np.where(data.mask[..., None], x, np.float32(MASKED))
        options = {"mask_constant": MASKED}
    compiled = jax.jit(lambda x: kernel_fn(x, None, ("nngp", "ntk"), **options))
    if batch:
        # nt.batch wants a divisor of n; it jits each block itself.
        block = nt.batch(kernel_fn, batch_size=batch, store_on_device=False)

        def compiled(x: Any) -> Any:
            return block(x, None, ("nngp", "ntk"), **options)

    x = jax.numpy.asarray(x)
    return lambda: jax.block_until_ready(tuple(compiled(x)))


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        run = prepared(request["workload"], request["batch"])
        print(json.dumps({"seconds": seconds_of(run)}), flush=True)


if __name__ == "__main__":
    main()
