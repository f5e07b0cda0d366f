"""Speed of the kernel engine: one JSON line a workload.

    make bench            ours alone, with the ratio to the roofline
    make bench-peer       ours and neural-tangents, run alternately

Ratios are medians over rounds; in each round the roofline, ours and the peer are measured one right
after the other, since the speed of a shared machine changes from minute to minute. `seconds` is the
median, `compile_seconds` what the first run took longer, `compiled` how many functions that were.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.roofline import measured
from benchmarks.workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent


class Server:
    """A process that runs workloads when it is told to (ours.py, peer.py)."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd=HERE.parent,
        )  # fmt: skip

    def run(self, workload: Workload, **options: Any) -> dict[str, float]:
        """One run; raises where the process ended instead of answering."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"workload": workload.name, **options}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{workload.name}: the process ended ({self._process.wait()})")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def best_batch(peer: Server, workload: Workload) -> int:
    """The batch size at which the peer is fastest once compiled."""
    seconds: dict[int, float] = {}
    for batch in workload.peer_batches:
        peer.run(workload, batch=batch)
        seconds[batch] = peer.run(workload, batch=batch)["seconds"]
    return min(seconds, key=lambda batch: seconds[batch])


def measure(workload: Workload, rounds: int, peer_python: str | None) -> dict[str, Any]:
    """The figures of one workload."""
    floor = workload.floor(workload.data())
    ours = Server([sys.executable, "-m", "benchmarks.ours"])
    peer = None
    if peer_python and workload.peer_batches:
        peer = Server([peer_python, str(HERE / "peer.py")])
    try:
        first = ours.run(workload)
        batch = best_batch(peer, workload) if peer else 0
        seconds, peers, to_roofline, to_peer = [], [], [], []
        peak = 0.0
        for _ in range(rounds):
            rates = measured()
            run = ours.run(workload)
            seconds.append(run["seconds"])
            peak = run["peak_bytes"]
            to_roofline.append(run["seconds"] / floor.seconds(rates))
            if peer:
                peers.append(peer.run(workload, batch=batch)["seconds"])
                to_peer.append(peers[-1] / run["seconds"])
    finally:
        ours.close()
        if peer:
            peer.close()
    line = {
        "workload": workload.name,
        "seconds": round(median(seconds), 4),
        "compile_seconds": round(first["seconds"] - median(seconds), 3),
        "compiled": first["compiled"],
        "peak_mib": round(peak / 2**20),
        "times_roofline": round(median(to_roofline), 2),
    }
    if peer:
        line |= {
            "peer_seconds": round(median(peers), 3),
            "peer_batch": batch,
            "times_faster_than_peer": round(median(to_peer), 1),
        }
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the kernel engine.")
    parser.add_argument("--only", default="", help="letters of the workloads to run, e.g. ab")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has neural-tangents")
    options = parser.parse_args()
    for workload in WORKLOADS:
        if not options.only or workload.name[0] in options.only:
            print(json.dumps(measure(workload, options.rounds, options.peer)), flush=True)


if __name__ == "__main__":
    main()
