"""Who may compute beside whom in one worker: tiles together, a suspect tile alone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Sharing:
    """A shared and exclusive lock for coroutines; whoever waits to be alone goes first."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._alone = False
        self._waiting_alone = 0

    @asynccontextmanager
    async def together(self) -> AsyncGenerator[None, None]:
        """Inside, others may be inside too, but nobody who is alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and not self._waiting_alone)
            self._together += 1
        try:
            yield
        finally:
            async with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """Inside, nobody else is."""
        async with self._changed:
            self._waiting_alone += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and not self._together)
                self._alone = True
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            async with self._changed:
                self._alone = False
                self._changed.notify_all()
