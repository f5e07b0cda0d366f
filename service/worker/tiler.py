"""What a worker does with one tile, from its delivery to its place in the store.

An answer (a prediction, say) is delivered, watched and given up like a tile; `service.answers.maker`
makes it. A tile ends in one of six ways: computed, found in the cache, unwanted (its jobs were cancelled),
failed (its jobs fail and others go on), set aside because the object store is away (others go on), or
given back because the worker stops. One that passes its
deadline is stopped and fails. One that hangs ends its worker; a tile that takes its worker down with
it is delivered again, alone on its next worker so that it harms no other, and given up after
`max_deliveries`.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from opentelemetry.trace import Span
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from structlog.contextvars import bound_contextvars

from kernels.errors import KernelError, Stopped
from kernels.result import TileResult
from service import tracing
from service.answers.maker import Maker
from service.answers.recipes import recipes
from service.errors import InputsGone, NoRoom, PastDeadline, ResultStoreAway, ResultStoreClosed
from service.logs import get_logger
from service.problem_kinds import STORE_CLOSED, TILE_FAILED, TILE_REFUSED, TILE_TOO_LONG, Kind
from service.queue.roster import WorkerCard
from service.queue.tasks import Compute, Task, TileTask
from service.state import Service
from service.store import keys
from service.store.connection import takes_nothing
from service.store.shelf import Shelf
from service.worker import compiling
from service.worker.learning import learn
from service.worker.provenance import provenance
from service.worker.sharing import Sharing
from service.worker.writing import write

log = get_logger(__name__)

Result = TypeVar("Result")

# A tile that has not stopped after this many times its deadline, when it was asked to, hangs.
HUNG_AFTER = 2
# A tile whose object store is away is set aside for these seconds, and all its jobs' tiles with it.
ASIDE_S = 30.0
# How often a running tile's worker asks whether anybody still waits for it.
WATCH_S = 0.5


# Called with a tile that hangs; does not return in a worker process.
Hung = Callable[[Task], None]


class Tiler:
    """Computes tiles with `compute`, in `pool`, for as long as `draining` is not set."""

    def __init__(
        self, service: Service, compute: Compute, pool: ThreadPoolExecutor, card: WorkerCard,
        hung: Hung,
    ) -> None:  # fmt: skip
        self._service = service
        self._compute = compute
        self._pool = pool
        self._hung = hung
        self._about = provenance(card)
        self._shelf = Shelf(service.inputs, service.settings.worker_cache_bytes)
        self._maker = Maker(service, self._shelf, pool, recipes(compute), self._about)
        self._sharing = Sharing()
        self.active: set[Task] = set()
        self.draining = False
        self._stopping = False

    async def handle(self, task: Task) -> None:
        """Take one tile to its end, then let the next one in."""
        dispatch = self._service.dispatch
        with (
            bound_contextvars(**task.about()),
            _span(task),
        ):
            suspect = await dispatch.begun(task) > 0
            async with self._sharing.alone() if suspect else self._sharing.together():
                await self._attempts(task)
            await dispatch.pump()

    async def _attempts(self, task: Task) -> None:
        """Begin the tile until it ends; an unexpected failure counts like a lost worker."""
        dispatch, allowed = self._service.dispatch, self._service.settings.max_deliveries
        reason = "its worker died, or it hung, each time"
        while not self.draining:
            count = await dispatch.begin(task)
            if count == 0:
                log.info("nobody waits for the task")
                return
            if count > allowed:
                await self._fail(
                    task,
                    TILE_FAILED,
                    f"{_noun(task)} was begun {allowed} times and never finished: {reason}",
                )
                return
            self.active.add(task)
            try:
                await self._once(task)
                return
            except Stopped:
                # Cancelled, or the worker stops. Either way this beginning was not the tile's
                # fault; the next round finds out whether somebody wants it (again).
                await dispatch.unbegin(task)
            except PastDeadline as error:
                # It stopped when it was asked to: it was computing, and would take as long again.
                await self._fail(task, TILE_TOO_LONG, str(error))
                return
            except (KernelError, InputsGone, NoRoom) as error:
                await self._fail(task, TILE_REFUSED, f"{_noun(task)} was refused: {error}")
                return
            except ResultStoreClosed as error:
                # What the store says may hold an address, which is for the operator alone.
                log.error("the object store cannot be used", reason=str(error))
                await self._fail(
                    task,
                    STORE_CLOSED,
                    "the object store of large results does not let the service in; its operator"
                    " has to put that right",
                )
                return
            except ResultStoreAway as error:
                log.warning("the object store is away: set aside", reason=str(error), s=ASIDE_S)
                await dispatch.unbegin(task)
                await dispatch.set_aside(task, ASIDE_S)
                return
            except (RedisConnectionError, RedisTimeoutError):
                # A store is away, which no tile is to blame for: the sweep queues it again, however
                # often that takes.
                await dispatch.unbegin(task)
                raise
            except Exception as error:
                if takes_nothing(error):  # as for one that is away
                    await dispatch.unbegin(task)
                    raise
                # Boundary: whatever a tile raises must not end the worker; it is told to the
                # jobs that wait once the tile is given up.
                log.exception("task failed", beginning=count)
                reason = f"{type(error).__name__}: {error}"
            finally:
                self.active.discard(task)

    async def _once(self, task: Task) -> None:
        if isinstance(task, TileTask):
            return await self._tile(task)
        made = await self._watched(task, partial(self._maker.make, task))
        # Put off, until what was evicted is there again, it will be delivered anew.
        if made is not None:
            log.info("answer made", computed=made.computed)
            await self._finish(task, computed=made.computed, about=made.about, error={})
        return None

    async def _tile(self, task: TileTask) -> None:
        service, tenant = self._service, task.tenant
        if (await service.tiles.renew(tenant, [task.tile]))[0]:
            meta = await service.tiles.meta(tenant, task.tile) or {}
            about = {name: meta[name] for name in self._about if name in meta}
            error = meta.get("error_estimate", {})
            await self._finish(task, computed=False, about=about or self._about, error=error)
            return
        architecture = await self._shelf.architecture(tenant, task.architecture)
        rows1 = await self._shelf.rows(tenant, task.rows1)
        others = [
            await self._shelf.rows(tenant, digest) if digest else None
            for digest in (task.rows2, task.landmarks)
        ]
        with tracing.span("compute"):
            timed = partial(_timed, self._compute)
            result, seconds, compile_seconds = await self._watched(
                task, partial(self._on_a_thread, timed, architecture, rows1, *others, task.asked())
            )
        meta: dict[str, Any] = {"seconds": round(seconds, 6)}
        log.info("tile computed", seconds=meta["seconds"])
        await service.tallies.computed(meta["seconds"])
        if result.error_estimate:
            meta["error_estimate"] = result.error_estimate
        await write(
            service.tiles, task, result.values, self._about | meta, seconds, self._cared_for
        )
        device, took = self._about["device_kind"], (seconds, compile_seconds)
        await learn(service.pace, device, task, architecture, (rows1, others[0]), took)
        await self._finish(task, computed=True, about=self._about, error=result.error_estimate)

    async def _on_a_thread(self, function: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def _watched(
        self, task: Task, work: Callable[[Callable[[], bool]], Coroutine[Any, Any, Result]]
    ) -> Result:
        """Work while this coroutine watches the deadline and the waiting jobs."""
        unwanted = late = False

        def should_stop() -> bool:
            return unwanted or late

        future = asyncio.create_task(work(should_stop))
        allowed = self._service.settings.tile_deadline.total_seconds()
        began = time.monotonic()
        while True:
            ready, _ = await asyncio.wait({future}, timeout=WATCH_S)
            if ready and late and isinstance(future.exception(), Stopped):
                raise PastDeadline(allowed, tile=isinstance(task, TileTask))
            if ready:
                return future.result()
            late = time.monotonic() > began + allowed
            if time.monotonic() > began + HUNG_AFTER * allowed:
                # It does not look at the flag. A thread cannot be stopped from outside, so the
                # process has to go. The tiles beside this one are not to blame.
                for other in self.active - {task}:
                    await self._service.dispatch.unbegin(other)
                self._hung(task)
            unwanted = not await self._cared_for(task)

    async def _cared_for(self, task: Task) -> bool:
        return not self._stopping and await self._wanted(task)

    async def _wanted(self, task: Task) -> bool:
        try:
            return await self._service.dispatch.wanted(task)
        except RedisError:
            # Not knowing is no reason to throw away work; the store may be back by its end.
            log.warning("the queue's Redis cannot be reached")
            return True

    def stop(self) -> None:
        """Have running tiles stop at their next check; they are given back."""
        self.draining = True
        self._stopping = True

    async def _finish(
        self, task: Task, *, computed: bool, about: Mapping[str, Any], error: dict[str, float]
    ) -> None:
        ended = await self._service.dispatch.finish(
            task, computed=computed, provenance=about, error_estimate=error
        )
        for ref in ended:
            log.info("job succeeded", job=keys.split(ref)[1])
            await self._service.lifetimes.renew(ref)

    async def _fail(self, task: Task, kind: Kind, detail: str) -> None:
        # What a caller asked for and cannot be computed is no trouble of the operator's.
        (log.warning if kind is TILE_REFUSED else log.error)("task given up", reason=detail)
        what = "kernel" if isinstance(task, TileTask) else task.kind
        problem = kind.about(what).document(detail)
        for ref, state in (await self._service.dispatch.fail(task, problem)).items():
            words = "job failed" if state == "failed" else "job cancelled"
            log.info(words, job=keys.split(ref)[1])
            await self._service.lifetimes.renew(ref)


def _span(task: Task) -> AbstractContextManager[Span]:
    if isinstance(task, TileTask):
        return tracing.span("tile", parent=task.trace, gramd__tile=task.tile, gramd__job=task.job)
    return tracing.span(
        "answer", parent=task.trace, gramd__answer=task.kind, gramd__job=task.answer
    )


def _timed(compute: Compute, *args: Any) -> tuple[TileResult, float, float]:
    """The result, the seconds it took, and those of them that went into compiling."""
    started = time.monotonic()
    with compiling.counted() as spent:
        result = compute(*args)
    return result, time.monotonic() - started, spent.seconds


def _noun(task: Task) -> str:
    return "a tile of this job" if isinstance(task, TileTask) else f"the {task.kind}"
