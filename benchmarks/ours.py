"""gramd's side of `make bench`: a server on standard input and output, as peer.py is.

Each line {"workload": name} is answered by {"seconds": s, "peak_bytes": b}, the time of one run
through `kernel_matrix` and the most memory that this process has taken so far.
"""

from __future__ import annotations

import json
import resource
import sys
from time import perf_counter
from typing import Any

from benchmarks.workloads import WORKLOADS, Data, Workload
from kernels.matrix import kernel_matrix


def run(workload: Workload, data: Data, layers: list[dict[str, Any]]) -> None:
    kernel_matrix({"layers": layers}, data.x, mask1=data.mask)


def main() -> None:
    found = {workload.name: workload for workload in WORKLOADS}
    made: dict[str, Data] = {}
    for line in sys.stdin:
        workload = found[json.loads(line)["workload"]]
        data = made.setdefault(workload.name, workload.data())
        first, *rest = workload.layers
        networks = [[first | {"w_std": w}, *rest] for w in workload.sweep] or [workload.layers]
        started = perf_counter()
        for layers in networks:
            run(workload, data, layers)
        seconds = (perf_counter() - started) / len(networks)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
