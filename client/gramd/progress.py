"""How far a job is, for people: a bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeAlias

from tqdm.auto import tqdm

from gramd.jobs import Job

Progress: TypeAlias = bool | Callable[[Job], None] | None
"""True shows a bar, False shows none, None shows one where a person is looking (standard error is a
terminal, or the code runs in a notebook); a function is called with the job whenever it is heard of."""


class Bar:
    """A tqdm bar of a job's tiles; nothing is drawn for jobs that have ended when first heard of."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __call__(self, job: Job) -> None:
        if self._bar is None:
            if job.ended:
                return
            self._bar = tqdm(total=job.tiles_total, desc=job.state, unit="tile", leave=False)
        if job.tiles_total != self._bar.total:
            self._bar.total = job.tiles_total
        self._bar.set_description_str(job.state, refresh=False)
        self._bar.update(job.tiles_done - self._bar.n)
        # News is rare: each is drawn, however soon after the one before.
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


class _Function:
    """A caller's own function in the place of a bar."""

    def __init__(self, function: Callable[[Job], None]) -> None:
        self._function = function

    def __call__(self, job: Job) -> None:
        self._function(job)

    def close(self) -> None:
        """Nothing to take away."""


Listener: TypeAlias = Bar | _Function


def listener(progress: Progress) -> Listener | None:
    """Who hears of a job's progress; None: nobody."""
    if callable(progress):
        return _Function(progress)
    shown = _watched() if progress is None else progress
    return Bar() if shown else None


def _watched() -> bool:
    # ipykernel runs code in notebooks, where standard error is no terminal but is shown.
    return sys.stderr.isatty() or "ipykernel" in sys.modules
