"""`python -m service serve`: ready when it says so, and no process left behind, however it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.embedded import servers

PATIENCE_S = 60.0
REQUEST = {
    "architecture": {"layers": [{"type": "dense"}, {"type": "relu"}]},
    "x1": [[1.0, 0.0], [0.0, 1.0]],
}


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition in other processes."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not after {PATIENCE_S} s"
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

    def compute(self) -> dict[str, Any]:
        """Have a small kernel computed; the finished resource."""
        answer = httpx.post(
            f"{self.url}/v1/kernels", json=REQUEST, headers={"Prefer": "wait=60"}, timeout=70
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def launch(root: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `serve` with its data in the test's directory."""
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    environ["GRAMD_LOG_LEVEL"] = "WARNING"
    with ExitStack() as stack:

        def one(port: int = 0, data_dir: Path | None = None) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "service", "serve", "--port", str(port),
                    "--workers", "1", "--data-dir", str(data_dir or tmp_path / "data"),
                ],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=root,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield one


def test_it_computes_and_sigterm_leaves_nothing_but_the_cache(
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    served = Served(launch())
    assert len(served.family) == 4
    assert served.compute()["receipt"]["tiles"]["computed"] == 1
    served.process.terminate()
    assert served.process.wait(PATIENCE_S) == 0
    assert alive(served.family) == set()
    # The second start finds the tile.
    again = Served(launch())
    assert again.compute()["receipt"]["tiles"] == {"total": 1, "computed": 0, "reused": 1}
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(PATIENCE_S) == 0
    assert alive(again.family) == set()


def test_killed_it_leaves_no_process_and_the_directory_can_be_used_again(
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    served = Served(launch())
    first = served.compute()
    served.process.kill()
    served.process.wait()
    again = Served(launch())
    until(lambda: not alive(served.family), "the children of a killed supervisor end")
    found = httpx.get(f"{again.url}/v1/kernels/{first['id']}", timeout=30)
    assert found.json()["state"] == "succeeded"


def test_whatever_dies_is_started_again(launch: Callable[..., subprocess.Popen[str]]) -> None:
    served = Served(launch())
    for victim in served.family:
        os.kill(victim, signal.SIGKILL)

    def ready() -> bool:
        try:
            return httpx.get(f"{served.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    until(lambda: not alive(served.family) and ready(), "all children are replaced")
    assert served.compute()["state"] == "succeeded"


def test_a_port_in_use_is_said_and_nothing_is_left(
    launch: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = launch(port=taken.getsockname()[1])
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "--port" in said
    assert not (tmp_path / "data").exists()


def test_two_of_them_do_not_share_a_directory(
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    served = Served(launch())
    process = launch()
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert f"process {served.process.pid}" in said
    assert served.compute()["state"] == "succeeded"


def test_a_deep_data_directory_is_no_obstacle(
    launch: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    served = Served(launch(data_dir=deep))
    assert served.compute()["state"] == "succeeded"
    sockets = servers(deep, 1)[0].socket.parent
    assert sockets.is_dir()
    assert deep not in sockets.parents
    served.process.terminate()
    assert served.process.wait(PATIENCE_S) == 0
    assert not sockets.exists()
