"""A real API process on real stores, and a tally of what it answers."""

import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import redis

from tests.service.conftest import Stores, stores
from tests.service.lifetimes import immortal
from tests.service.room.serving import until

__all__ = ["stores"]

MIB = 1 << 20
# What the API may grow by under fire: while it works (its largest JSON body takes ten times its text,
# MAX_JSON_BYTES), and what may be left of that afterwards.
PEAK_GROWTH = 512 * MIB
LASTING_GROWTH = 96 * MIB


@dataclass
class Target:
    """An API process under fire."""

    port: int
    pid: int
    log: Path
    tally: Counter[int] = field(default_factory=Counter[int])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def judge(self, status: int, headers: httpx.Headers, body: bytes, what: str) -> None:
        """Count an answer; none may be our fault, and a refusal says what is the matter.

        Allowed of 5xx, because they are documented: 503 with Retry-After, 503 of readiness (no worker
        is here), and 507 that names its limit.
        """
        self.tally[status] += 1
        if status >= 500:
            allowed = (
                (status == 503 and ("retry-after" in headers or "/readyz" in what))
                or (status == 507 and b'"limit_name"' in body)
            )  # fmt: skip
            assert allowed, f"{what}: {status} {body[:500]!r}\n{self.log.read_text()[-3000:]}"
        if status >= 400 and body:
            assert headers["content-type"] == "application/problem+json", what
            assert b'"detail"' in body, what

    def memory(self, name: str) -> int:
        """VmRSS or VmHWM of the process, bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"{name}:\s+(\d+) kB", text)
        assert match is not None
        return 1024 * int(match[1])


@pytest.fixture(scope="session")
def target(
    stores: Stores, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """`python -m service api` that takes requests as fast as they come; it must live to the end."""
    clients = [redis.Redis.from_url(server.url) for server in (stores.queue, stores.tiles)]
    for client in clients:
        client.flushall()
    folder = tmp_path_factory.mktemp("hostile")
    environ = os.environ | {
        "REDIS_URL": stores.queue.url,
        "TILES_URL": stores.tiles.url,
        "GRAMD_DATA_DIR": str(folder),
        "GRAMD_LOG_LEVEL": "WARNING",
        "GRAMD_MAX_REQUESTS_PER_S": "1000000",
        "GRAMD_MAX_REQUEST_BURST": "1000000",
        # No worker is here, so whatever is valid stays queued; and nobody is waited for long.
        "GRAMD_MAX_UNFINISHED_JOBS": "1000000",
        "GRAMD_MAX_WAIT_S": "0.05",
    }
    log = folder / "log"
    with socket.socket() as listening, log.open("w") as written:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        number = listening.fileno()
        command = [sys.executable, "-m", "service", "api", "--fd", str(number)]
        process = subprocess.Popen(
            command, env=environ, cwd=root, pass_fds=[number], stderr=written
        )
        under_fire = Target(listening.getsockname()[1], process.pid, log)
        try:
            until(lambda: httpx.get(f"{under_fire.url}/healthz", timeout=60), "it answers")
            before = under_fire.memory("VmRSS")
            yield under_fire
            after = under_fire.memory("VmRSS")
            print(f"\nthe API before: {before / MIB:.0f} MiB, after: {after / MIB:.0f} MiB")
            assert process.poll() is None, log.read_text()[-3000:]
            assert "Traceback" not in log.read_text()
        finally:
            process.terminate()
            process.wait(30)
            print(
                f"requests: {under_fire.tally.total():,}; by status, 0: closed without an answer:"
            )
            print(", ".join(f"{k}: {n:,}" for k, n in sorted(under_fire.tally.items())))
    left = [name for client in clients for name in immortal(client)]
    for client in clients:
        client.flushall()
        client.close()
    assert left == []


@pytest.fixture
def bounded(target: Target) -> Iterator[None]:
    """What is sent meanwhile may not make the process grow past the two limits above."""
    Path(f"/proc/{target.pid}/clear_refs").write_text("5")  # VmHWM begins anew
    before = target.memory("VmRSS")
    yield
    peak, after = target.memory("VmHWM") - before, target.memory("VmRSS") - before
    print(
        f"\nresident {before / MIB:.0f} MiB, peak +{peak / MIB:.0f}, afterwards {after / MIB:+.0f}"
    )
    assert peak < PEAK_GROWTH
    assert after < LASTING_GROWTH


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`share`: how much of the requests; a small part in every run, all of them when asked for."""
    if "share" in metafunc.fixturenames:
        metafunc.parametrize(
            "share",
            [pytest.param(0.02, id="slice"), pytest.param(1.0, id="whole", marks=WHOLE)],
        )


WHOLE = (pytest.mark.hostile, pytest.mark.timeout(1200))
