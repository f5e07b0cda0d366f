"""One real service for all tests of the client: `serve` on a free port, one worker."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import gramd
from gramd import spec as s

from .faulty import Faulty

PATIENCE_S = 120.0

DENSE = s.network(s.dense(w_std=1.5, b_std=0.1), s.relu(), s.dense())
ATTENTION = s.network(s.dense(), s.relu(), s.attention(), s.global_avg_pool(), s.dense())


@pytest.fixture(scope="session")
def url(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the service answers; it has a worker and is ready."""
    folder = tmp_path_factory.mktemp("served")
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--workers", "1"]
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            cwd=root,
            env=environ | {"GRAMD_LOG_LEVEL": "WARNING"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while (said := re.search(rb"gramd listens on (\S+)", log.read_bytes())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        address = said[1].decode()
        with gramd.Client(address) as client:
            while not client.ready():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


@pytest.fixture
def client(url: str) -> Iterator[gramd.Client]:
    """A client of it."""
    with gramd.Client(url, progress=False) as opened:
        yield opened


@pytest.fixture
def faulty(url: str) -> Iterator[Faulty]:
    """The same service behind a line that can be cut."""
    with Faulty(url) as line:
        yield line
