"""Waiting for something only as long as the client that asked is still there and the process goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")
CANCEL_AGAIN_S = 0.1


def stopping(request: Request) -> asyncio.Event:
    """Set when the process has been told to end, and answers what it can before it does."""
    return request.app.state.stopping


async def while_present(request: Request, waiting: Coroutine[Any, Any, Result]) -> Result | None:
    """What `waiting` returns, or None when the client closes the connection before that, or the
    process is told to end.

    The request's body must have been read: what is left of it is thrown away.
    """
    return await _unless(waiting, _gone(request), stopping(request).wait())


async def while_serving(request: Request, waiting: Coroutine[Any, Any, Result]) -> Result | None:
    """What `waiting` returns, or None when the process is told to end before that."""
    return await _unless(waiting, stopping(request).wait())


async def _unless(
    waiting: Coroutine[Any, Any, Result], *ends: Coroutine[Any, Any, object]
) -> Result | None:
    result = asyncio.create_task(waiting)
    tasks: set[asyncio.Task[Any]] = {result, *map(asyncio.create_task, ends)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return result.result() if result.done() else None
    finally:
        await _end(tasks)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    left = tasks
    while left:
        for task in left:
            task.cancel()
        # Again, since one cancellation can be lost: before Python 3.12 `asyncio.wait_for`, through
        # which redis-py writes, forgets it when what it waits for is done at the same moment.
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
