"""A running `serve` by its parts, and a job on it whose matrices must come out right."""

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import numpy as np
from redis import Redis

from kernels.matrix import kernel_matrix
from service.processes.embedded import servers
from tests.service.room.serving import Served, until

PATIENCE_S = 120.0
ATTENTION = {
    "layers": [
        {"type": "dense"},
        {"type": "relu"},
        {"type": "attention"},
        {"type": "global_avg_pool"},
        {"type": "dense"},
    ]
}


class Running(Served):
    """A service, its processes by what they are, and both its stores."""

    def __init__(self, process: subprocess.Popen[str], data_dir: Path) -> None:
        super().__init__(process)
        queue, tiles = servers(data_dir, 1, 1)
        self.queue, self.tiles = Redis.from_url(queue.url), Redis.from_url(tiles.url)
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def processes(self, mark: str) -> list[int]:
        """The processes in whose command line `mark` stands: worker, api, queue.sock, tiles.sock."""
        found: list[int] = []
        for pid in sorted(self.descendants()):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            # Between fork and exec a child has its parent's command line.
            if "serve" not in line and any(word.endswith(mark) for word in line):
                found.append(pid)
        return found

    def kill(self, mark: str) -> None:
        """Kill -9 one of them, and wait until another one is there."""
        [victim, *others] = until(lambda: self.processes(mark), f"there is a {mark}", PATIENCE_S)
        os.kill(victim, signal.SIGKILL)
        until(
            lambda: set(self.processes(mark)) - {victim, *others}, "it is started again", PATIENCE_S
        )

    def close(self) -> None:
        """Let go of the connections."""
        for connection in (self.queue, self.tiles, self.http):
            connection.close()


def refusals(store: Redis) -> int:
    """How many commands a store has refused because it is full."""
    return int(store.info("errorstats").get("errorstat_OOM", {}).get("count", 0))


class Job:
    """nngp and ntk of `n` inputs of some positions, under way as soon as this is made."""

    def __init__(self, running: Running, n: int = 400, positions: int = 40, seed: int = 0) -> None:
        self._running = running
        random = np.random.default_rng(seed)
        self.x = random.standard_normal((n, positions, 4)).astype("float32")
        buffer = io.BytesIO()
        np.save(buffer, self.x)
        answer = running.http.post(
            "/v1/kernels",
            data={"request": json.dumps({"architecture": ATTENTION})},
            files={"x1": buffer.getvalue()},
        )
        assert answer.status_code == 202, answer.text
        self.id: str = answer.json()["id"]
        self.url: str = urlsplit(answer.headers["location"]).path

    def on(self, running: Running) -> Self:
        """The same job on a service that was started later on the same data."""
        self._running = running
        return self

    def record(self) -> dict[str, Any]:
        """The resource; while the queue's store is away, asked for again when the answer says so."""
        return self._get(self.url).json()

    def begun(self, tiles: int = 1) -> None:
        """Wait until so many tiles are done, with more to do."""
        until(lambda: self.record()["tiles_done"] >= tiles, "a tile is done", PATIENCE_S)
        assert self.record()["state"] == "running"

    def ended(self) -> dict[str, Any]:
        """Wait for the end; the resource then."""
        running = ("queued", "running")
        return until(
            lambda: (now := self.record())["state"] not in running and now, "it ends", PATIENCE_S
        )

    def matrix(self, output: str) -> np.ndarray:
        """One matrix, asked for as often as Retry-After says so."""
        return np.load(io.BytesIO(self._get(f"{self.url}/{output}").content))

    def check(self) -> None:
        """It succeeds, and every row is what the kernels give, bit for bit."""
        ended = self.ended()
        assert ended["state"] == "succeeded", ended
        expected = kernel_matrix(ATTENTION, self.x)
        for output in ("nngp", "ntk"):
            np.testing.assert_array_equal(self.matrix(output), expected[output])

    def _get(self, url: str) -> httpx.Response:
        """Nothing but the resource, or a problem that says when to come again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._running.http.get(url)
            if answer.status_code == 200:
                return answer
            assert answer.status_code in (409, 503), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert time.monotonic() < deadline, answer.text
            time.sleep(float(answer.headers["retry-after"]))
