"""Real worker processes, killed: nothing is lost, and what cannot be computed is given up."""

import signal
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from kernels.architecture import parse_architecture
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.plan.placement import place
from service.records import JobRecord, KernelRequest, Layout
from service.state import Service
from service.worker.worker import EXIT_HUNG
from tests.faults.running import ATTENTION

Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Finished = Callable[[JobRecord], Awaitable[JobRecord]]
Start = Callable[..., subprocess.Popen[bytes]]


def attention_request(n: int, positions: int) -> KernelRequest:
    """A job whose tiles take long enough to be interrupted."""
    x = np.random.default_rng(0).standard_normal((n, positions, 4))
    return KernelRequest(
        architecture=parse_architecture(ATTENTION),
        inputs1=read_inputs(x),
        inputs2=None,
        outputs=("nngp", "ntk"),
        dtype="float32",
    )


async def assemble(service: Service, layout: Layout, output: str) -> np.ndarray:
    """The whole matrix from its tiles."""
    matrix = np.full((layout.plan.n1, layout.plan.n2), np.nan, layout.record.dtype)
    for tile in layout.plan.tiles:
        values = await service.tiles.read("default", layout.digests[tile.index], output)
        assert values is not None
        place(matrix, layout.plan, tile, values)
    return matrix


async def test_killing_a_worker_in_mid_job_loses_nothing(
    service: Service, start: Start, eventually: Eventually, finished: Finished, tmp_path: Path
) -> None:
    request = attention_request(160, 40)
    first = start(workers=2, compile_dir=tmp_path)
    record = await service.jobs.create("default", request)
    assert record.tiles_total > 2

    async def under_way() -> bool:
        return bool(await service.client.keys("gramd:deliveries:*"))

    await eventually(under_way)
    first.send_signal(signal.SIGKILL)
    start(workers=2, compile_dir=tmp_path)
    ended = await finished(record)
    assert ended.state == "succeeded"
    layout = await service.jobs.layout(record)
    expected = kernel_matrix(ATTENTION, request.inputs1.x)
    for output in ("nngp", "ntk"):
        np.testing.assert_array_equal(await assemble(service, layout, output), expected[output])


async def test_a_tile_that_takes_its_worker_down_is_given_up(
    service: Service, start: Start, eventually: Eventually, finished: Finished
) -> None:
    # One large tile, and the test kills each worker that has begun it.
    record = await service.jobs.create("default", attention_request(32, 500))
    assert record.tiles_total == 1
    brief = timedelta(seconds=1)
    for attempt in range(1, service.settings.max_deliveries + 1):
        victim = start(lease=brief)

        async def begun(attempt: int = attempt) -> bool:
            counts = await service.client.keys("gramd:deliveries:*")
            return bool(counts) and int(await service.client.get(counts[0]) or 0) == attempt

        await eventually(begun)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    start(lease=brief)
    ended = await finished(record)
    assert ended.state == "failed"
    assert ended.error is not None
    assert "never finished" in ended.error["detail"]


async def test_a_tile_that_does_not_stop_at_its_deadline_ends_its_worker(
    service: Service, start: Start
) -> None:
    await service.jobs.create("default", attention_request(32, 500))
    process = start(tile_deadline=timedelta(seconds=0.2))
    assert process.wait(60) == EXIT_HUNG


async def test_sigterm_ends_a_worker_cleanly(
    service: Service, start: Start, eventually: Eventually
) -> None:
    process = start()

    async def ready() -> bool:
        return await service.readiness() == []

    await eventually(ready)
    process.terminate()
    assert process.wait(30) == 0
    assert await service.roster.alive() == []
