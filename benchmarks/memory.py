"""Memory against its budget: one JSON line a case, each in a process of its own.

    make bench-memory

A case runs once, so that its code is compiled, gives freed memory back to the system and forgets
its peak; then it runs again. Measured is the peak of that run over what was there before, without
the result and the copy of the inputs: what `memory_bytes` is to bound. Budgets are what one tile
needs ("least"), so that tiles run one by one and nothing is kept, and three times that.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.workloads import IMDB, POOL, RELU, Layers, attention, conv, dense, normal
from service.processes.supervisor import WORKER_MALLOC

MIB = 2**20


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: what the network is.
        layers: the network.
        shape: of the inputs.
        method: how it is computed.
        form: what of the kernel.
    """

    name: str
    layers: Layers
    shape: tuple[int, ...]
    method: Mapping[str, Any] | None = None
    form: str = "matrix"

    @property
    def depth(self) -> int:
        """Layers, as written."""
        return len(self.layers)


def deep(depth: int, **parameters: Any) -> Layers:
    return [dense(), RELU, *[attention(**parameters), RELU] * depth, POOL, dense()]


ADDITIVE = {"type": "additive", "tolerance": 1e-3}
CASES = (
    Case("dense-relu x 3", [dense(), RELU] * 3 + [dense()], (2000, 784)),
    Case("dense-relu x 16", [dense(), RELU] * 16 + [dense()], (1500, 64)),
    Case("attention x 1", deep(1), (32, 32, 16)),
    Case("attention x 1", deep(1), (96, 128, 16)),
    Case("attention x 4", deep(4), (80, 128, 16)),
    Case("attention x 8", deep(8), (72, 128, 16)),
    Case("attention x 1", deep(1), (36, 512, 16)),
    Case("attention x 4", deep(4), (9, 512, 16)),
    Case("attention x 8", deep(8), (18, 512, 16)),
    Case("attention x 8", deep(8), (5, 1024, 16)),
    Case("attention x 1", deep(1), (5, 2048, 16)),
    Case(
        "softmax, rank 32, x 4", deep(4, mechanism={"type": "softmax", "rank": 32}), (40, 256, 16)
    ),
    Case("conv 3x3 x 4, pool", [*[conv(3, 3), RELU] * 4, POOL], (36, 16, 16, 3)),
    Case("conv 3x3 x 8, flatten", [*[conv(3, 3), RELU] * 8, {"type": "flatten"}], (300, 32, 32, 3)),
    Case("IMDb, additive", IMDB, (40, 500, 50), ADDITIVE),
    Case("attention, additive", deep(1), (140, 128, 16), ADDITIVE),
    Case("attention by position", [dense(), RELU, attention()], (24, 64, 16), form="positions"),
)


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"this system does not report {name}: expected Linux")


def measure(case: Case, times: float) -> dict[str, Any]:
    """One case in this process, with a budget of so many times what a tile needs."""
    from kernels.matrix import kernel_matrix, memory_needed

    x = normal(*case.shape).x
    network, method = {"layers": case.layers}, case.method or {"type": "exact"}
    options: dict[str, Any] = {"method": method, "form": case.form}
    least = memory_needed(network, x, **options)
    budget = int(least * times)
    result = kernel_matrix(network, x, memory_bytes=budget, **options)
    beside = x.nbytes + sum(matrix.nbytes for matrix in result.values())
    del result
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = status("VmRSS")
    kernel_matrix(network, x, memory_bytes=budget, **options)
    measured = max(0, status("VmHWM") - before - beside)
    return {
        "network": case.name,
        "shape": case.shape,
        "least_mib": round(least / MIB, 1),
        "budget_mib": round(budget / MIB, 1),
        "measured_mib": round(measured / MIB, 1),
        "ratio": round(measured / budget, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory against its budget.")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases")
    parser.add_argument("--times", type=float, nargs="*", default=[1.0, 3.0], help="of the least")
    parser.add_argument("--here", action="store_true", help="in this process: one case, one budget")
    parser.add_argument("--plain-malloc", action="store_true", help="not as workers are started")
    options = parser.parse_args()
    chosen = options.only or range(len(CASES))
    for number in chosen:
        for times in options.times:
            if options.here:
                print(json.dumps(measure(CASES[number], times)), flush=True)
            else:
                command = [sys.executable, "-m", "benchmarks.memory", "--here", "--only", str(number),
                           "--times", str(times)]  # fmt: skip
                root = Path(__file__).resolve().parents[1]
                environ = os.environ if options.plain_malloc else WORKER_MALLOC | os.environ
                subprocess.run(command, check=True, cwd=root, env=environ)


if __name__ == "__main__":
    main()
