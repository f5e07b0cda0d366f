"""What the service adds to the kernels: one JSON line a question.

    make bench-service

- overhead: workload b with 256 inputs through HTTP, over the same in this process, alternately.
- fetch: bytes a second of a cached matrix over HTTP, by http.client into memory that is there and by
  httpx, over those of Redis GET of as many.
- workers: one worker process pinned to a core, over two pinned to one each.
- start: seconds from `serve`, with compiled code on disk, until it says where it listens, and to its first
  result.

Ratios are medians over rounds; every round has new inputs, so that nothing is answered from cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import numpy as np
from redis import Redis

from benchmarks.workloads import WORKLOADS, Array
from gramd import Client
from kernels.matrix import kernel_matrix
from service.processes.embedded import find_redis_server, servers, wait_until_answering
from service.processes.supervisor import API_MALLOC

LAYERS: Final = next(w.layers for w in WORKLOADS if w.name.startswith("b"))
ROWS: Final = 256
GIB: Final = 2**30
READY_SECONDS: Final = 60
_WORKERS: Final = re.compile(r"^gramd_workers\{.*\} (\S+)$", re.MULTILINE)
_ADDRESS: Final = re.compile(r"http://\S+")
_seeds: Iterator[int] = iter(range(10**6))


@dataclass(frozen=True)
class Running:
    """A service whose parts were started one by one.

    Attributes:
        url: where it is.
        client: talks to it.
        tiles: a client of its tile store.
    """

    url: str
    client: Client
    tiles: Redis


@contextmanager
def running(
    data_dir: Path, cores: Sequence[int | None], settings: Mapping[str, str] = MappingProxyType({})
) -> Generator[Running]:
    """Two stores, the API, and a worker for each entry of `cores`, pinned where it is a number;
    `settings` are variables of their environment."""
    with ExitStack() as stack:

        def start(command: list[str], environ: dict[str, str] | None = None) -> None:
            process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)

            def stop() -> None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)

            stack.callback(stop)

        pair = servers(data_dir, 0, 4 * GIB)
        for server in pair:
            start(server.command(find_redis_server()))
            wait_until_answering(server, 30, lambda: True)
        port = _free_port()
        environ = os.environ | {
            "REDIS_URL": pair[0].url,
            "TILES_URL": pair[1].url,
            "GRAMD_DATA_DIR": str(data_dir),
            "GRAMD_COMPILE_DIR": str(data_dir / "compiled"),
            "GRAMD_WORKERS": str(len(cores)),
            "GRAMD_LOG_LEVEL": "WARNING",
            **settings,
        }
        part = [sys.executable, "-m", "service"]
        start([*part, "api", "--port", str(port)], API_MALLOC | environ)
        for core in cores:
            pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
            start([*pinned, *part, "worker"], environ)
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, len(cores))
        tiles = stack.enter_context(Redis.from_url(pair[1].url))
        yield Running(url, stack.enter_context(Client(url, progress=False)), tiles)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(url: str, workers: int) -> None:
    deadline = perf_counter() + READY_SECONDS
    while perf_counter() < deadline:
        try:
            metrics = httpx.get(f"{url}/metrics").text
            if sum(map(float, _WORKERS.findall(metrics))) == workers:
                return
        except httpx.TransportError:
            pass  # not listening yet
        sleep(0.02)
    raise SystemExit(f"the service at {url} had not {workers} workers after {READY_SECONDS} s")


def inputs(rows: int = ROWS) -> Array:
    """Inputs of workload b that no round before had."""
    return np.random.default_rng(next(_seeds)).normal(size=(rows, 128, 32)).astype(np.float32)


def seconds_of(run: Any, *arguments: Any) -> float:
    started = perf_counter()
    run(*arguments)
    return perf_counter() - started


def through(service: Running, x: Array) -> None:
    """Both matrices of x with itself, computed and fetched."""
    kernel = service.client.kernel({"layers": LAYERS}, x)
    assert kernel.nngp.shape == kernel.ntk.shape == (len(x), len(x))


def overhead(service: Running, rounds: int) -> dict[str, Any]:
    """Workload b through HTTP and in this process."""
    within, over = [], []
    through(service, inputs())
    kernel_matrix({"layers": LAYERS}, inputs())
    for _ in range(rounds):
        x = inputs()
        within.append(seconds_of(kernel_matrix, {"layers": LAYERS}, x))
        over.append(seconds_of(through, service, x))
    ratio = median(a / b for a, b in zip(over, within, strict=True))
    return {
        "question": "overhead",
        "in_process_seconds": round(median(within), 3),
        "service_seconds": round(median(over), 3),
        "ratio": round(ratio, 3),
    }


def fetch(service: Running, rounds: int, n: int = 4096) -> dict[str, Any]:
    """A cached float32 matrix of n x n over HTTP, and as many bytes by Redis GET."""
    x = np.random.default_rng(next(_seeds)).normal(size=(n, 16)).astype(np.float32)
    network = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
    job = service.client.kernels.submit(network, x, outputs=["nngp"])
    service.client.kernels.wait(job)
    # The same bytes under plain keys, as many of them as the matrix has tiles of 512 x 512.
    keys = [f"benchmark:{number}" for number in range((n // 512) ** 2)]
    for key in keys:
        service.tiles.set(key, b"\0" * (4 * 512 * 512), ex=600)
    path = f"/v1/kernels/{job.id}/nngp"
    into = bytearray(4 * n * n + 4096)

    def redis_get() -> int:
        return sum(len(service.tiles.get(key) or b"") for key in keys)

    with closing(HTTPConnection(urlsplit(service.url).netloc)) as plain, httpx.Client() as http:

        def plain_http() -> int:
            plain.request("GET", path)
            with plain.getresponse() as answer:
                assert answer.status == 200, answer.read()
                size = answer.readinto(into)
                assert not answer.read()
                return size

        def by_httpx() -> int:
            return len(http.get(service.url + path).raise_for_status().content)

        ways = (redis_get, plain_http, by_httpx)
        rates = [[_rate(way) for way in ways] for _ in range(rounds)]
    return {
        "question": "fetch",
        "redis_get_mb_per_s": round(median(redis for redis, _, _ in rates) / 1e6),
        "http_mb_per_s": round(median(plain for _, plain, _ in rates) / 1e6),
        "httpx_mb_per_s": round(median(httpx for _, _, httpx in rates) / 1e6),
        "ratio": round(median(plain / redis for redis, plain, _ in rates), 2),
        "httpx_ratio": round(median(httpx / redis for redis, _, httpx in rates), 2),
    }


def _rate(fetch: Callable[[], int]) -> float:
    started = perf_counter()
    return fetch() / (perf_counter() - started)


def workers(root: Path, rounds: int) -> dict[str, Any]:
    """Workload b by one pinned worker, and by two."""
    with running(root / "one", [0]) as one, running(root / "two", [0, 1]) as two:
        for service in (one, two):
            through(service, inputs())
        times = []
        for _ in range(rounds):
            x = inputs()
            times.append((seconds_of(through, one, x), seconds_of(through, two, x)))
    return {
        "question": "workers",
        "one_seconds": round(median(t for t, _ in times), 3),
        "two_seconds": round(median(t for _, t in times), 3),
        "ratio": round(median(one / two for one, two in times), 2),
    }


@contextmanager
def serving(data_dir: Path) -> Generator[Client]:
    """`serve`, as anyone starts it; begins when it says where it listens."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", str(data_dir)]
    environ = os.environ | {"GRAMD_LOG_LEVEL": "WARNING"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = _ADDRESS.search(said)
            if found is None:
                raise SystemExit(f"expected the service's address, it said {said!r}")
            with Client(found.group(), progress=False) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(READY_SECONDS)


def start(data_dir: Path, rounds: int) -> dict[str, Any]:
    """The first result of a service that has computed such tiles in an earlier life."""
    with serving(data_dir) as client:
        client.kernel({"layers": LAYERS}, inputs(8))
    times = [_life(data_dir, inputs(8)) for _ in range(rounds)]
    return {
        "question": "start",
        "ready_seconds": round(median(ready for ready, _ in times), 2),
        "first_result_seconds": round(median(first for _, first in times), 2),
    }


def _life(data_dir: Path, x: Array) -> tuple[float, float]:
    """Seconds until it is ready, and until it has computed a kernel."""
    started = perf_counter()
    with serving(data_dir) as client:
        ready = perf_counter() - started
        client.kernel({"layers": LAYERS}, x)
        return ready, perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="What the service adds to the kernels.")
    parser.add_argument("--only", nargs="+", default=["overhead", "fetch", "workers", "start"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if {"overhead", "fetch"} & set(options.only):
            # As `serve` does on a machine of a few CPUs.
            with running(root / "main", [None]) as service:
                if "overhead" in options.only:
                    say(overhead(service, options.rounds))
                if "fetch" in options.only:
                    say(fetch(service, options.rounds))
        if "workers" in options.only:
            say(workers(root, options.rounds))
        if "start" in options.only:
            say(start(root / "start", options.rounds))


if __name__ == "__main__":
    main()
