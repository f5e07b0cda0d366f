"""What a worker does with an answer's task: read kernels, make arrays, store them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kernels.errors import Stopped
from service.answers.kernel_values import KernelValues
from service.errors import Evicted, InputsGone, NoRoom, UnknownJob
from service.queue.tasks import AnswerKind, AnswerTask
from service.state import Service
from service.store import keys
from service.store.arrays import ArrayStore, StoredArray
from service.store.shelf import Shelf

# How often an answer may find that what it needs was evicted before it could read it.
MOST_POSTPONED = 10
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Made:
    """An answer that is in the store: whether it was made now, and what is known of how."""

    computed: bool
    about: Mapping[str, Any]


class Workshop:
    """What makers work with: the parts of the service, threads and the time to stop."""

    def __init__(
        self,
        service: Service,
        shelf: Shelf,
        pool: ThreadPoolExecutor,
        task: AnswerTask,
        layout: Mapping[str, Any],
        should_stop: ShouldStop,
    ) -> None:
        self.service = service
        self.shelf = shelf
        self.task = task
        self.layout = layout
        self.arrays = ArrayStore(service.tiles)
        self.should_stop = should_stop
        self._pool = pool

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function on a thread; raises Stopped before or after it when that is due."""
        if self.should_stop():
            raise Stopped
        result = await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        if self.should_stop():
            raise Stopped
        return result

    async def kernels(self) -> dict[str, KernelValues]:
        """Its kernel jobs by role; raises InputsGone when one is no longer there."""
        found: dict[str, KernelValues] = {}
        for role, job_id in self.layout["kernels"].items():
            try:
                record = await self.service.jobs.get(self.task.tenant, job_id)
                layout = await self.service.jobs.layout(record)
            except UnknownJob as error:
                raise InputsGone(f"the kernel job {job_id} was deleted") from error
            found[role] = KernelValues(self.service.jobs, self.service.tiles, layout)
        return found


class Recipe(Protocol):
    """How one kind of answer is made."""

    @property
    def names(self) -> Sequence[str]:
        """Of its arrays."""
        ...

    async def needed(self) -> list[KernelValues]:
        """The kernel jobs whose tiles it will read."""
        ...

    async def make(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Its arrays by name, and what is known of how they came about; raises Evicted."""
        ...


OpenRecipe = Callable[[Workshop], Awaitable[Recipe]]


class Maker:
    """Makes answers of every kind in `recipes`, on the threads of `pool`."""

    def __init__(
        self,
        service: Service,
        shelf: Shelf,
        pool: ThreadPoolExecutor,
        recipes: Mapping[AnswerKind, OpenRecipe],
        about: Mapping[str, Any],
    ) -> None:
        self._service = service
        self._shelf = shelf
        self._pool = pool
        self._recipes = recipes
        self._about = about

    async def make(self, task: AnswerTask, should_stop: ShouldStop) -> Made | None:
        """Make the answer and store it; None when it was put off until evicted tiles are back.

        Raises KernelError, InputsGone, NoRoom: it cannot be made; Stopped.
        """
        service, tenant = self._service, task.tenant
        layout, _ = await service.records.layout(task.ref)
        workshop = Workshop(service, self._shelf, self._pool, task, layout, should_stop)
        recipe = await self._recipes[task.kind](workshop)
        base = layout["result"]
        names = recipe.names
        found = [p for name in names if (p := await workshop.arrays.find(tenant, base, name))]
        if len(found) == len(names):
            for place in found:
                await self._remember(workshop, place)
            return Made(False, found[0].about)
        missing = False
        needed = await recipe.needed()
        for kernel in needed:
            missing = bool(await kernel.recompute()) or missing
        if not missing:
            try:
                arrays, facts = await recipe.make()
                about = dict(self._about) | facts
                await self._store(workshop, base, arrays, about)
                return Made(True, about)
            except Evicted:
                for kernel in needed:
                    await kernel.recompute()
        refs = [keys.ref(tenant, job_id) for job_id in layout["kernels"].values()]
        if await service.dispatch.postpone(task, refs) > MOST_POSTPONED:
            raise NoRoom(MOST_POSTPONED)
        return None

    async def _store(
        self,
        workshop: Workshop,
        base: str,
        arrays: Mapping[str, np.ndarray],
        about: Mapping[str, Any],
    ) -> None:
        tenant = workshop.task.tenant
        for name, array in arrays.items():
            place = workshop.arrays.plan(tenant, base, name, array)
            # Before it is there, so that deleting a dataset misses nothing made from it.
            await self._remember(workshop, place)
            await workshop.arrays.write(place, array, about)

    async def _remember(self, workshop: Workshop, place: StoredArray) -> None:
        datasets = workshop.layout["datasets"]
        await self._service.datasets.remember(place.tenant, datasets, place.digests)
