"""Waiting for something only as long as the client that asked is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


async def while_present(request: Request, waiting: Coroutine[Any, Any, Result]) -> Result | None:
    """What `waiting` returns, or None when the client closes the connection before that.

    The request's body must have been read: what is left of it is thrown away.
    """
    result = asyncio.create_task(waiting)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({result, gone}, return_when=asyncio.FIRST_COMPLETED)
        return result.result() if result.done() else None
    finally:
        result.cancel()
        gone.cancel()
        await asyncio.gather(result, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
