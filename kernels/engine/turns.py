"""Who computes next, of more threads than there are processors."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic
from typing import Final

_PATIENCE: Final = 0.05
"""Seconds for which a thread lets others go before it. Strictly in order, matrices took a twentieth
longer: whose turn it is has to wake up first, while the one before could go on."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A thread that waits, and since when."""

    since: float


class Turns:
    """So many at a time, and none waits much longer than for a turn of another.

    A semaphore may let the thread that has just had a turn have the next one too, and so on: a short
    tile waited for call after call of a long one.

    Attributes:
        waiting: those who wait for a turn, the one that came first in front.
    """

    def __init__(self, most: int, patience: float = _PATIENCE) -> None:
        """
        Args:
            most: turns that are taken at once.
            patience: seconds after which one that waits is next, whoever else comes.
        """
        self._changed = Condition()
        self._free = most
        self._patience = patience
        self.waiting: deque[_Waiting] = deque()

    @contextmanager
    def one(self) -> Generator[None]:
        """Waits for a turn and has it inside."""
        me = _Waiting(monotonic())
        with self._changed:
            self.waiting.append(me)
            try:
                self._changed.wait_for(lambda: self._free > 0 and self._may(me))
                self._free -= 1
            finally:
                self.waiting.remove(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _may(self, me: _Waiting) -> bool:
        """Whether a turn that is free may be this one's."""
        first = self.waiting[0]
        return first is me or monotonic() < first.since + self._patience
