"""`python -m service serve` as a test sees it: its address, its processes, and waiting for them."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 60.0
REQUEST = {
    "architecture": {"layers": [{"type": "dense"}, {"type": "relu"}]},
    "x1": [[1.0, 0.0], [0.0, 1.0]],
}


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition in other processes."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not after {patience_s} s"
        time.sleep(0.05)
    return value


def descendants(parent: int) -> set[int]:
    """The living children of a process, and theirs."""
    found: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = stat.read_text().rpartition(") ")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(ppid)
    family, frontier = set[int](), {parent}
    while frontier:
        frontier = {pid for pid, ppid in found.items() if ppid in frontier}
        family |= frontier
    return family


def alive(pids: set[int]) -> set[int]:
    """Which of the processes still run; a zombie has ended."""
    running: set[int] = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            running.add(pid)
    return running


class Served:
    """A running `serve`, its address and the processes that belong to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        said = process.stdout.readline()
        match = re.search(r"http://\S+", said)
        assert match is not None, f"it said {said!r}"
        self.url = match.group()
        self.family = descendants(process.pid)

    def descendants(self) -> set[int]:
        """The processes that belong to it now, some of them started again."""
        return descendants(self.process.pid)

    def compute(self) -> dict[str, Any]:
        """Have a small kernel computed; the finished resource."""
        answer = httpx.post(
            f"{self.url}/v1/kernels", json=REQUEST, headers={"Prefer": "wait=60"}, timeout=70
        )
        assert answer.status_code == 200, answer.text
        return answer.json()
