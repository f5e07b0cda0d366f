"""Whether the API or a worker of this host is alive: `python -m service health api|worker`."""

import asyncio
import socket
import urllib.error
import urllib.request

from redis.exceptions import RedisError

from service.errors import StartError
from service.queue.roster import Roster
from service.settings import Settings
from service.store.connection import connect

TIMEOUT_S = 4.0


def api_problem(port: int) -> str | None:
    """Why the API on this machine's `port` is not alive; None when it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S):
            return None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        return f"http://127.0.0.1:{port}/healthz does not answer: {error}"


def worker_problem(settings: Settings) -> str | None:
    """Why no worker of this host is alive; None when one has been seen in the last seconds.

    A container has a host name of its own, so there this is the worker of this container. A worker
    announces itself from its event loop only once it has compiled and run a kernel, so one that
    is stuck or cut off from Redis drops out. Raises StartError without REDIS_URL.
    """
    if settings.redis_url is None:
        raise StartError("REDIS_URL is not set: a worker's health is what it last said there")
    return asyncio.run(_worker_problem(settings.redis_url, socket.gethostname()))


async def _worker_problem(redis_url: str, host: str) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_S), connect(redis_url) as client:
            cards = await Roster(client).alive()
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        return f"the queue's Redis (REDIS_URL) cannot be reached: {error or type(error).__name__}"
    # Names are host-pid; the hyphen keeps the host "a" from speaking for "ab".
    if any(card.name.rpartition("-")[0] == host for card in cards):
        return None
    return f"no worker of {host} has been seen lately"
