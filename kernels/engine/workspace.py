"""What the tiles of one process share: threads, memory, and what was computed of single inputs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Condition, get_ident
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

from kernels.engine.turns import Turns
from kernels.errors import KernelError, Stopped
from kernels.plan.memory import DEFAULT_MEMORY_BYTES, TileMemory

T = TypeVar("T")

_KEPT_BYTES: Final = 2**30
"""One-input results of groups that no tile is using: 1 GiB at most, however much is free."""

_LOOK_SECONDS: Final = 0.2
"""How often a tile that waits for memory asks whether it should stop."""


class Sized(Protocol):
    """What says how much memory it takes."""

    @property
    def nbytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


@dataclass
class _Kept:
    """A one-input result: `rows` whose it is, None if of no group; `size` 0 until it is made."""

    made: Future[Any]
    rows: Any
    size: int = 0


@dataclass(frozen=True)
class _Running:
    """A tile that was let in: what it takes, its groups, and how many calls it makes at once."""

    needed: TileMemory
    groups: tuple[Any, ...]
    calls: int


class Workspace(AbstractContextManager["Workspace"]):
    """Threads for compiled calls, a budget of memory, and the latest one-input results.

    Tiles are cut into calls that run on the threads of the workspace, so that one tile alone
    keeps every core busy and several share them; the one-input pass of a group is done once for
    all tiles of its row and column.

    A tile begins when what it was planned to take fits beside the tiles that run. What these leave
    of the budget goes to one-input results of other groups, oldest out first. Only tiles that have
    not begun wait for memory, and they hold nothing that another waits for, so none waits for ever.
    """

    def __init__(self, threads: int = 1, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        """
        Args:
            threads: calls that run at once, of however many tiles; with 1 each runs on its tile's own
                thread.
            memory_bytes: of all tiles and one-input results, see kernels/plan/memory.py.
        """
        self.threads = threads
        self.memory_bytes = memory_bytes
        self._pool = ThreadPoolExecutor(threads, "micro-tile") if threads > 1 else None
        self._turns = Turns(threads)
        # Least recently used first. An OrderedDict would hash its keys, whole networks, to list them.
        self._kept: dict[Hashable, _Kept] = {}
        self._changed = Condition()
        self._waiting: deque[int] = deque()
        # By the thread a tile runs on.
        self._running: dict[int, _Running] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def refuse(self, needed: TileMemory) -> None:
        """Raises KernelError for a tile that does not fit even alone."""
        if needed.alone <= self.memory_bytes:
            return
        raise KernelError(
            f"one tile of this kernel needs {needed.alone} bytes of memory, and the budget is "
            f"{self.memory_bytes}: raise memory_bytes (GRAMD_WORKER_MEMORY_BYTES of a worker), or "
            f"take shorter inputs, fewer attention layers, pooling or strides earlier, or float32"
        )

    @contextmanager
    def tile(
        self,
        needed: TileMemory,
        groups: Sequence[Any],
        should_stop: Callable[[], bool] | None = None,
    ) -> Generator[None]:
        """Waits until the tile of this thread fits, then holds its memory; first come, first in.

        Args:
            needed: what it takes.
            groups: its inputs, as many as `needed.groups`; tiles of the same share theirs.
            should_stop: asked while it waits.

        Raises:
            KernelError: it needs more than there is.
            Stopped: `should_stop` said so.
        """
        self.refuse(needed)
        me = get_ident()
        with self._changed:
            self._waiting.append(me)
            try:
                while self._waiting[0] != me or not self._fits(needed, groups, 1):
                    self._changed.wait(_LOOK_SECONDS if should_stop is not None else None)
                    if should_stop is not None and should_stop():
                        raise Stopped
                calls = self.threads
                while calls > 1 and not self._fits(needed, groups, calls):
                    calls -= 1
                self._running[me] = _Running(needed, tuple(groups), calls)
                self._evict()
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._running[me]
                self._evict()
                self._changed.notify_all()

    @property
    def share(self) -> int:
        """Threads for each tile that runs: what cutting one into more calls than that would gain."""
        return max(1, self.threads // max(1, len(self._running)))

    def run(self, call: Callable[[], T]) -> T:
        """What the call returns, made on this thread when fewer calls than `threads` run: parts of
        a call that XLA cuts up would wait behind a whole one."""
        with self._turns.one():
            return call()

    def results(self, calls: Iterator[Callable[[], T]]) -> Iterator[T]:
        """What the calls return, in their order; a few run ahead of the one that is awaited.

        Args:
            calls: asked for one at a time, as threads become free.
        """
        if self._pool is None:
            yield from (self.run(call) for call in calls)
            return
        tile = self._running.get(get_ident())
        # One more than there are threads, so that none waits for this one to look; but no more
        # than there is memory for.
        ahead = self.threads if tile is None or tile.calls == self.threads else tile.calls - 1
        running: deque[Future[T]] = deque()
        try:
            for call in calls:
                running.append(self._pool.submit(copy_context().run, self.run, call))
                if len(running) > ahead:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def aside(self, call: Callable[[], None]) -> None:
        """Runs it on a free thread, if there are threads: what will be asked for anyway, and will
        be made, or raise, where it is asked for."""
        if self._pool is not None:
            self._pool.submit(call)

    def once(self, key: Hashable, make: Callable[[], S], rows: Any = None) -> S:
        """What `make` returns, or returned when it was last asked for under this key.

        A thread that asks for what another is making waits for it.

        Args:
            key: what is made.
            make: makes it; asks for no memory.
            rows: the inputs that it is of: while a tile with these runs it is kept, and its size
                is part of what the tile was planned to take.
        """
        with self._changed:
            kept = self._kept.pop(key, None)
            mine = kept is None
            kept = self._kept[key] = _Kept(Future(), rows) if kept is None else kept
        if mine:
            try:
                made = make()
            except BaseException as error:
                with self._changed:
                    self._kept.pop(key, None)
                kept.made.set_exception(error)
                raise
            kept.made.set_result(made)
            with self._changed:
                kept.size = made.nbytes
                self._evict()
        return kept.made.result()

    def _fits(self, needed: TileMemory, groups: Sequence[Any], calls: int) -> bool:
        tiles = [*self._running.values(), _Running(needed, tuple(groups), calls)]
        return _planned(tiles) <= self.memory_bytes

    def _evict(self) -> None:
        """Drops results of groups that no tile is using, oldest first, until the others fit."""
        used = Counter(id(group) for tile in self._running.values() for group in tile.groups)
        idle = [
            (key, kept.size)
            for key, kept in self._kept.items()
            if kept.size and not used[id(kept.rows)]
        ]
        total = sum(size for _, size in idle)
        left = min(_KEPT_BYTES, self.memory_bytes - _planned(list(self._running.values())))
        for key, size in idle:
            if total <= left:
                return
            del self._kept[key]
            total -= size


def _planned(tiles: Sequence[_Running]) -> int:
    """Bytes that tiles take together: what a group keeps once, the rest for each."""
    kept: dict[int, int] = {}
    for tile in tiles:
        for group, size in zip(tile.groups, tile.needed.groups, strict=True):
            kept[id(group)] = max(size, kept.get(id(group), 0))
    return sum(kept.values()) + sum(t.needed.own + t.calls * t.needed.call for t in tiles)
