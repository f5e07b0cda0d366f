"""gramd's side of `make bench`: a server on standard input and output, as peer.py is.

Each line {"workload": name} is answered by {"seconds": s, "peak_bytes": b, "compiled": c}, the time
of a run through `kernel_matrix`, and the most memory that this process has taken and the functions that
it has compiled so far.
"""

from __future__ import annotations

import json
import resource
import sys

import jax.monitoring

from benchmarks.timing import seconds_of
from benchmarks.workloads import WORKLOADS, Data, Layers
from kernels.matrix import kernel_matrix

_COMPILED = "/jax/core/compile/backend_compile_duration"


def main() -> None:
    found = {workload.name: workload for workload in WORKLOADS}
    made: dict[str, Data] = {}
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILED:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    for line in sys.stdin:
        workload = found[json.loads(line)["workload"]]
        data = made.setdefault(workload.name, workload.data())
        first, *rest = workload.layers
        networks = [[first | {"w_std": w}, *rest] for w in workload.sweep] or [workload.layers]

        def run(networks: list[Layers] = networks, data: Data = data) -> None:
            for layers in networks:
                kernel_matrix({"layers": layers}, data.x, mask1=data.mask)

        seconds = seconds_of(run) / len(networks)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer = {"seconds": seconds, "peak_bytes": peak, "compiled": len(compiled)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
