"""When a call is made again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

# What a gateway or a service in trouble answers before it did anything, or while it cannot.
PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Retry:
    """Which calls are repeated is not a matter of taste: those that mean the same when they come
    twice. How often is.

    attempts: tries of one call in all, those not counted after which the service itself named a
        time (Retry-After). 1 repeats nothing.
    first, longest: seconds of the first pause and of the longest; each doubles the one before, and
        half of it is left to chance, so that many clients do not come back together.
    patience: seconds that the pauses of one call may take together.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 8.0
    patience: float = 120.0


class Tries:
    """The tries of one call so far: how many were `made`, and of how many the answer was `lost`."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._waited = 0.0
        self._counted = 0
        self.made = 0
        self.lost = 0

    def pause(self, retry_after: float | None = None) -> float | None:
        """Seconds until the next try, after one that failed; None: that was the last one."""
        retry = self._retry
        self.made += 1
        if retry.attempts <= 1:
            return None
        if retry_after is None:
            self._counted += 1
            if self._counted >= retry.attempts:
                return None
            longest = min(retry.longest, retry.first * 2 ** (self._counted - 1))
            seconds = longest * random.uniform(0.5, 1)  # noqa: S311  (nothing to guess)
        else:
            # A little late rather than all at the same second.
            seconds = retry_after + retry.first * random.random()  # noqa: S311  (nothing to guess)
        if self._waited + seconds > retry.patience:
            return None
        self._waited += seconds
        return seconds
