"""`python -m service serve`: ready when it says so, and no process left behind, however it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from service.processes.embedded import servers
from service.processes.supervisor import shares_of, workers_for

from .serving import PATIENCE_S, Served, alive, until


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


SWALLOWING = """
import os, signal, sys
from service import __main__ as command
from service.processes import supervisor

def keys_exist(url):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except Exception:
        print("swallowed", flush=True)
    return True

supervisor.keys_exist = keys_exist
sys.exit(command.main(sys.argv[1:]))
"""


def test_a_signal_that_a_library_swallows_ends_it_all_the_same(root: Path, tmp_path: Path) -> None:
    """The exception that a signal raises may meet a destructor, or whoever catches every error."""
    serve = ["serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(
        [sys.executable, "-c", SWALLOWING, *serve],
        cwd=root, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert "swallowed" in ended.stdout
    assert ended.returncode == 0, ended.stderr


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
    sockets = servers(deep, 1, 1)[0].socket.parent
    assert sockets.is_dir()
    assert deep not in sockets.parents
    served.process.terminate()
    assert served.process.wait(PATIENCE_S) == 0
    assert not sockets.exists()


def test_workers_share_the_cpus() -> None:
    assert [workers_for(cpus) for cpus in (0, 1, 2, 15, 16, 64)] == [1, 1, 1, 1, 2, 8]
    assert shares_of([0, 1, 2, 5, 7], 2) == [[0, 1], [2, 5]]
    assert shares_of([3], 2) == shares_of([], 2) == [None, None]


def test_a_child_runs_where_it_may(root: Path) -> None:
    here = min(os.sched_getaffinity(0))
    # In a process of its own, as the supervisor is: this one may have JAX's threads, and spawning forks.
    code = f"""
import sys
from service.processes.children import spawn
child = [sys.executable, "-c", "import os; raise SystemExit(os.sched_getaffinity(0) != {{{here}}})"]
raise SystemExit(spawn(child, cpus=[{here}]).wait({PATIENCE_S}))
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_each_embedded_store_has_its_ceiling(tmp_path: Path) -> None:
    commands = [server.command(Path("redis")) for server in servers(tmp_path, 123, 456)]
    said = [command[command.index("--maxmemory") + 1] for command in commands]
    assert said == ["123", "456"]
