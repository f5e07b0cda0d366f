"""`serve` as an operator starts it, whose processes a test may kill, stop and starve.

However a test treats it, afterwards it must end on SIGTERM, leave no process, and hold no key that
would stay for ever.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.running import PATIENCE_S, Running
from tests.service.conftest import service, settings, stores
from tests.service.lifetimes import immortal
from tests.service.room.conftest import eventually, finished, start
from tests.service.room.serving import alive

__all__ = ["eventually", "finished", "service", "settings", "start", "stores"]

Serve = Callable[..., Running]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder is marked; this hook sees the items of other folders too."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


@pytest.fixture
def serve(root: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start `python -m service serve`, with GRAMD_* variables by their names without GRAMD_."""
    started: list[Running] = []
    data_dir, log = tmp_path / "data", tmp_path / "log"
    with ExitStack() as stack:

        def one(*, workers: int = 1, **variables: object) -> Running:
            environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
            environ |= {"GRAMD_LOG_LEVEL": "WARNING"}
            environ |= {f"GRAMD_{name}": str(value) for name, value in variables.items()}
            command = [
                sys.executable, "-m", "service", "serve", "--port", "0",
                "--workers", str(workers), "--data-dir", str(data_dir),
            ]  # fmt: skip
            # Not a pipe: nobody would read it, and a worker that logs much would wait for ever.
            written = stack.enter_context(log.open("a"))
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=written, text=True, env=environ, cwd=root
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(Running(process, data_dir))
            return started[-1]

        yield one
        for running in started:
            if running.process.poll() is None:
                family = running.family | running.descendants()
                left = [
                    name for store in (running.queue, running.tiles) for name in immortal(store)
                ]
                assert left == []
                running.process.terminate()
                assert running.process.wait(PATIENCE_S) == 0, log.read_text()[-3000:]
                assert alive(family) == set()
            running.close()
