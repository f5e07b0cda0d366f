"""The way of a computed tile into its store, which may be full or away just then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from redis.exceptions import ResponseError

from kernels.errors import Stopped
from service.errors import ResultStoreAway, ResultStoreClosed
from service.logs import get_logger
from service.queue.tasks import Task, TileTask
from service.store.connection import takes_nothing
from service.store.tiles import TileStore

log = get_logger(__name__)

# A tile that could not be written is written again after these seconds, and then ever later.
PAUSE_S, PAUSE_MOST_S = 0.25, 5.0
# One whose object store is away is kept for as long as it took to compute, at least these seconds:
# then throwing it away costs no more than the wait did.
KEPT_LEAST_S = 5.0


async def write(
    tiles: TileStore,
    task: TileTask,
    values: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    seconds: float,
    cared_for: Callable[[Task], Awaitable[bool]],
) -> None:
    """Store a tile that took `seconds` to compute; while that cannot be done, keep it.

    Raises ResultStoreAway when its store stays away, ResultStoreClosed at once, and Stopped as soon as
    it is not `cared_for` any more: nobody waits for it, or the worker stops.
    """
    pause, until = PAUSE_S, time.monotonic() + max(seconds, KEPT_LEAST_S)
    while True:
        try:
            return await tiles.write(task.tenant, task.tile, values, meta)
        except ResponseError as error:
            if not takes_nothing(error):
                raise
            log.warning("the tile store takes nothing", reason=str(error), again_in_s=pause)
        except ResultStoreClosed:
            raise
        except ResultStoreAway as error:
            if time.monotonic() > until:
                raise
            log.warning("the object store is away", reason=str(error), again_in_s=pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_MOST_S)
        if not await cared_for(task):
            raise Stopped
