"""The worker process: takes tiles off the queue and computes them with `kernels`.

JAX runs on executor threads, one per slot; the event loop renews leases, watches deadlines and
looks for tiles that nobody wants any more, and must never be blocked.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
from redis.exceptions import RedisError

from kernels.architecture import Architecture, parse_architecture
from kernels.engine.backend import keep_compiled_code, tile_threads
from kernels.engine.tile import compute_tile
from kernels.engine.workspace import Workspace
from kernels.inputs import Inputs, read_inputs
from kernels.result import TileResult
from service import tracing
from service.errors import ResultStoreAway, StartError
from service.logs import get_logger
from service.processes.data_dir import make_directory
from service.queue.docket import SPARE_SLOTS
from service.queue.roster import WorkerCard
from service.queue.tasks import Asked, Task
from service.settings import Settings
from service.state import Service, open_service
from service.store.far_tiles import FarTiles
from service.worker import compiling
from service.worker.tiler import Tiler

log = get_logger(__name__)

# How often a worker says that it is alive; well under `keys.WORKER_SEEN`.
ANNOUNCE_S = 2.0
# EX_TEMPFAIL: the supervisor (or the container runtime) is to start the worker again.
EXIT_HUNG = 75


def compute(
    architecture: Architecture,
    rows1: Inputs,
    rows2: Inputs | None,
    landmarks: Inputs | None,
    asked: Asked,
    should_stop: Callable[[], bool],
    workspace: Workspace | None = None,
) -> TileResult:
    """One tile, on this thread (see `kernels.engine.tile.compute_tile`)."""
    return compute_tile(
        architecture,
        rows1,
        rows2,
        outputs=asked.outputs,
        form=asked.form,
        method=asked.method,
        landmarks=landmarks,
        workspace=workspace,
        should_stop=should_stop,
    )


def warm_up() -> tuple[str, str]:
    """Compile and run a tiny kernel; returns the device kind and JAX's version.

    A worker that cannot do this fails here and not on a user's tile.
    """
    compiling.listen()
    # A network of more layers would take longer to trace, and show no more.
    architecture = parse_architecture({"layers": [{"type": "dense"}]})
    rows = read_inputs(np.eye(2, dtype=np.float32), dtype="float32")
    compute_tile(architecture, rows, None, outputs=("nngp", "ntk"))
    return jax.devices()[0].device_kind, jax.__version__


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code."""
    # It reports every backend that is not there.
    logging.getLogger("jax").setLevel(logging.WARNING)
    if settings.compile_dir is not None:
        make_directory(settings.compile_dir, "directory for compiled programs (GRAMD_COMPILE_DIR)")
        keep_compiled_code(str(settings.compile_dir))
    with tracing.exporting("worker"):
        return asyncio.run(_work(settings, tile_threads(settings.workers)))


async def _work(settings: Settings, slots: int) -> int:
    name = f"{socket.gethostname()}-{os.getpid()}"
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # What tiles share: what they compile, the one-input results of their groups, and the threads that
    # a tile's calls run on, so that one tile alone uses every CPU too.
    with (
        Workspace(slots, settings.worker_memory_bytes) as workspace,
        ThreadPoolExecutor(slots + SPARE_SLOTS, thread_name_prefix="tile") as pool,
    ):
        async with open_service(settings) as service:
            problems = await service.store_problems()
            if problems:
                raise StartError("; ".join(problems))
            device_kind, jax_version = await loop.run_in_executor(pool, warm_up)
            card = WorkerCard(name, slots, device_kind, jax_version)
            tiler = Tiler(service, partial(compute, workspace=workspace), pool, card, _hung)
            background = [
                asyncio.create_task(_announce(service, card)),
                asyncio.create_task(sweep(service)),
            ]
            log.info("worker ready", worker=name, slots=slots, device_kind=device_kind)
            serving = asyncio.create_task(service.queue.serve(tiler.handle, name=name, slots=slots))
            try:
                await _until_stopped(serving, stopped, tiler, settings.grace.total_seconds())
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
            await service.roster.leave(name)
    return 0


async def _until_stopped(
    serving: asyncio.Task[None], stopped: asyncio.Event, tiler: Tiler, grace: float
) -> None:
    """Serve until told to stop; then finish what was begun, or give it back after `grace`."""
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        waiting.cancel()
        # It only returns by raising: a bug, which the process should end with.
        serving.result()
        raise RuntimeError("the queue stopped serving")
    tiler.draining = True
    serving.cancel()
    finished, _ = await asyncio.wait({serving}, timeout=grace)
    if not finished:
        log.info("tiles are given back", tiles=len(tiler.active))
        tiler.stop()
    await asyncio.gather(serving, return_exceptions=True)


def _hung(task: Task) -> None:
    log.critical("a task hangs: it did not stop at its deadline; this worker ends", **task.about())
    logging.shutdown()
    os._exit(EXIT_HUNG)


async def _announce(service: Service, card: WorkerCard) -> None:
    while True:
        try:
            await service.roster.announce(card)
        except (RedisError, OSError):
            log.warning("the queue's Redis cannot be reached; trying again", exc_info=True)
        await asyncio.sleep(ANNOUNCE_S)


async def sweep(service: Service) -> None:
    """Put right what a dead process left undone, now and then."""
    far = service.tiles.far
    duties: list[Callable[[], Awaitable[None]]] = [
        service.dispatch.sweep,
        service.lifetimes.renew_live,
    ]
    duties += [] if far is None else [partial(_delete_due, far)]
    while True:
        for duty in duties:
            try:
                await duty()
            except (RedisError, OSError, ResultStoreAway):
                # One alone: what a full store refuses is no reason for jobs to expire.
                log.warning("a store is full or cannot be reached; trying again", exc_info=True)
        await asyncio.sleep(service.settings.sweep_interval.total_seconds())


async def _delete_due(far: FarTiles) -> None:
    if deleted := await far.delete_due():
        log.info("tiles past their lifetime deleted", tiles=deleted)
