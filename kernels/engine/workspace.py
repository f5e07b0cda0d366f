"""What the tiles of one process share: its threads, and what was computed of single inputs."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Lock
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

_KEPT_BYTES: Final = 2**30
"""Results of one-input passes that a workspace keeps: 1 GiB, of which a tile needs two groups'
at most (32 inputs of 512 positions: 32 MiB in float32 for each attention layer)."""


class Sized(Protocol):
    """What says how much memory it takes."""

    @property
    def nbytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


class Workspace(AbstractContextManager["Workspace"]):
    """Threads for compiled calls, and the latest one-input results.

    Tiles are cut into calls that run on the threads of the workspace, so that one tile alone
    keeps every core busy and several share them; the one-input pass of a group is done once for
    all tiles of its row and column.
    """

    def __init__(self, threads: int = 1, kept_bytes: int = _KEPT_BYTES) -> None:
        """
        Args:
            threads: calls that run at once; with 1 they run on the caller's own thread.
            kept_bytes: of one-input results.
        """
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "micro-tile") if threads > 1 else None
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._lock = Lock()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def results(self, calls: Iterator[Callable[[], T]]) -> Iterator[T]:
        """What the calls return, in their order; a few run ahead of the one that is awaited.

        Args:
            calls: asked for one at a time, as threads become free.
        """
        if self._pool is None:
            yield from (call() for call in calls)
            return
        running: deque[Future[T]] = deque()
        try:
            for call in calls:
                running.append(self._pool.submit(call))
                # One more than there are threads, so that none waits for this one to look.
                if len(running) > self.threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def once(self, key: Hashable, make: Callable[[], S]) -> S:
        """What `make` returns, or returned when it was last asked for under this key.

        A thread that asks for what another is making waits for it.
        """
        with self._lock:
            future = self._kept.get(key)
            mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
        if mine:
            try:
                made = make()
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)
                future.set_exception(error)
                raise
            future.set_result(made)
            self._account(key, made.nbytes)
        return future.result()

    def _account(self, key: Hashable, size: int) -> None:
        with self._lock:
            self._sizes[key] = size
            total = sum(self._sizes.values())
            for oldest in list(self._kept):
                if total <= self._kept_bytes:
                    return
                if oldest in self._sizes:
                    total -= self._sizes.pop(oldest)
                    del self._kept[oldest]
