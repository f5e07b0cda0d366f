"""Requests, workers in this process whose tiles the test can hold, fail and count, and `serve`."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.architecture import Architecture, parse_architecture
from kernels.errors import Stopped
from kernels.inputs import Inputs, read_inputs
from kernels.result import ErrorEstimate, TileResult
from service.processes.children import stop
from service.queue.tasks import Asked
from service.records import JobRecord, KernelRequest
from service.settings import Settings
from service.state import Service
from service.worker.tiler import Tiler
from tests.service.workers import live_worker

PATIENCE_S = 30.0


class Workbench:
    """Computes tiles for the dispatch tests: the plain Gram matrix, under the test's control.

    What a tile's numbers are does not matter to the queue; the tests of real numbers run real
    workers. `hold` keeps tiles from finishing; `verdict` may raise for a tile, and `error` says how
    far off one is.
    """

    def __init__(self) -> None:
        self.computed: Counter[bytes] = Counter()
        self.order: list[int] = []
        self.stopped = 0
        self.hold = threading.Event()
        self.hold.set()
        self.verdict: Callable[[Inputs], None] = lambda rows: None
        self.error: Callable[[Inputs], ErrorEstimate] = lambda rows: {}

    def __call__(
        self,
        architecture: Architecture,
        rows1: Inputs,
        rows2: Inputs | None,
        landmarks: Inputs | None,
        asked: Asked,
        should_stop: Callable[[], bool],
    ) -> TileResult:
        self.verdict(rows1)
        deadline = time.monotonic() + PATIENCE_S
        while not self.hold.wait(0.01):
            if should_stop():
                self.stopped += 1
                raise Stopped
            assert time.monotonic() < deadline, "the test never let this tile go"
        other = rows1 if rows2 is None else rows2
        self.computed[rows1.x.tobytes() + other.x.tobytes()] += 1
        self.order.append(len(rows1.x))
        gram = rows1.x.reshape(len(rows1.x), -1) @ other.x.reshape(len(other.x), -1).T
        return TileResult(dict.fromkeys(asked.outputs, gram), self.error(rows1))


@pytest.fixture
def workbench() -> Workbench:
    """What the worker of this test computes tiles with."""
    return Workbench()


Worker = Callable[..., AbstractAsyncContextManager[Tiler]]


@pytest.fixture
def worker(service: Service, workbench: Workbench) -> Worker:
    """`async with worker():` a live worker on the service's queue, with the real queue and tiler."""

    @asynccontextmanager
    async def live(
        slots: int = 1, name: str = "tester", service: Service = service
    ) -> AsyncIterator[Tiler]:
        async with live_worker(service, workbench, slots=slots, name=name) as tiler:
            try:
                yield tiler
            finally:
                # A tile that is held would keep its thread, and the test, from ending.
                workbench.hold.set()

    return live


@pytest.fixture
def request_of() -> Callable[..., KernelRequest]:
    """Requests for a small network on `n` vectors; the same seed gives the same rows."""

    def build(
        n: int = 4, n2: int | None = None, *, seed: int = 0, w_std: float = 1.0, **changes: Any
    ) -> KernelRequest:
        layers = [{"type": "dense", "w_std": w_std}, {"type": "relu"}, {"type": "dense"}]
        rows = np.random.default_rng(seed).standard_normal((n, 3))
        other = None
        if n2 is not None:
            other = read_inputs(np.random.default_rng(seed + 1).standard_normal((n2, 3)), name="x2")
        fields: dict[str, Any] = {
            "architecture": parse_architecture({"layers": layers}),
            "outputs": ("nngp", "ntk"),
            "dtype": "float32",
        } | changes
        return KernelRequest(
            inputs1=read_inputs(rows),
            inputs2=other,
            **fields,
        )

    return build


@pytest.fixture
def finished(service: Service) -> Callable[[JobRecord], Awaitable[JobRecord]]:
    """Wait until a job has ended."""

    async def wait(record: JobRecord) -> JobRecord:
        ended = await service.jobs.wait(record.tenant, record.id, PATIENCE_S)
        assert ended.ended, f"still {ended.state} after {PATIENCE_S} s"
        return ended

    return wait


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Wait for a condition, never for a time."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():  # noqa: ASYNC110  (in Redis or another process: no event)
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def launch(root: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `serve` with its data in the test's directory."""
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    environ["GRAMD_LOG_LEVEL"] = "WARNING"
    with ExitStack() as stack:

        def one(
            port: int = 0, data_dir: Path | None = None, workers: int = 1
        ) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "service", "serve", "--port", str(port),
                    "--workers", str(workers), "--data-dir", str(data_dir or tmp_path / "data"),
                ],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=root,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield one


@contextmanager
def worker_process(settings: Settings, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m service worker` on the test's stores."""
    environ = {**os.environ, **settings.to_env()}
    process = subprocess.Popen([sys.executable, "-m", "service", "worker"], env=environ, cwd=root)
    try:
        yield process
    finally:
        stop(process, 20)


@pytest.fixture
def start(settings: Settings, root: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start worker processes that end with the test."""
    with ExitStack() as stack:

        def one(**changes: object) -> subprocess.Popen[bytes]:
            return stack.enter_context(worker_process(replace(settings, **changes), root))

        yield one
