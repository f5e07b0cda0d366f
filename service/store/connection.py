"""Connections to the two Redis servers, each owned by an `async with`."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from service.errors import OverLimit, ResultStoreAway
from service.logs import get_logger
from service.store.large_values import LargeValues

log = get_logger(__name__)

SOCKET_TIMEOUT = 30.0
# Requests of one process that talk to a server at the same moment; one more waits for its turn. (A
# pool that does not wait refuses it: "Too many connections", a 503 for the hundred-and-first.)
CONNECTIONS = 64


@asynccontextmanager
async def connect(url: str) -> AsyncGenerator[Redis, None]:
    """A client with its own pool on the server at `url` (redis://, rediss:// or unix://)."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS, timeout=SOCKET_TIMEOUT, socket_timeout=SOCKET_TIMEOUT,
        protocol=2,
    )  # fmt: skip
    client: Redis = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def connect_for_threads(url: str) -> Generator[redis.Redis, None, None]:
    """A client whose calls block, and give memoryviews for large values: the event loop would read
    them in small bits between which it does nothing else."""
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT, parser_class=LargeValues, protocol=2
    )
    try:
        yield client
    finally:
        client.close()


def raw(reply: Any) -> Any:
    """A reply as it is: bytes, and lists and dicts of bytes, since these clients never decode.

    redis-py's annotations say "bytes or str" throughout; this is the one place that knows better.
    """
    return reply


@asynccontextmanager
async def store_with_room(client: Redis) -> AsyncGenerator[None, None]:
    """Inside, a write that Redis A refuses because it is full raises OverLimit, naming maxmemory.

    It evicts nothing, so this is what its ceiling looks like from here.
    """
    try:
        yield
    except OutOfMemoryError as error:
        maximum = await ceiling(client) or 0
        raise OverLimit(
            "queue_store_bytes",
            maximum,
            int((await client.info("memory"))["used_memory"]),
            f"the store of inputs and records is full ({maximum} bytes); try again when jobs and "
            "datasets have expired or were deleted",
        ) from error


def takes_nothing(error: Exception) -> bool:
    """Whether a server says that it takes nothing for now: it is full, or cannot write to its disk."""
    return isinstance(error, OutOfMemoryError) or cannot_write(error)


def cannot_write(error: Exception) -> bool:
    """Whether a server says that it cannot write to its disk, as Redis answers to every write until it can."""
    return isinstance(error, (ResponseError, ResultStoreAway)) and "MISCONF" in str(error)


async def now(client: Redis) -> float:
    """The server's clock in seconds, the one clock that all hosts share."""
    return seconds_of(await client.time())


def seconds_of(moment: tuple[int, int]) -> float:
    """What TIME answered, in seconds."""
    seconds, microseconds = moment
    return seconds + microseconds / 1e6


async def policy_problem(client: Redis, name: str, wanted: tuple[str, ...]) -> str | None:
    """Why this server cannot play its part: unreachable, another eviction policy, or a disk that it
    cannot write to; else None. Anyone may read it: the log has what would give an address away.

    INFO is asked and not CONFIG, which managed servers forbid.
    """
    try:
        about = await client.info("memory", "persistence")
    except (RedisError, OSError) as error:
        log.warning("a store cannot be reached", store=name, reason=str(error))
        return f"{name} cannot be reached"
    policy = str(about.get("maxmemory_policy", ""))
    if policy not in wanted:
        return f"{name} must have maxmemory-policy {' or '.join(wanted)}, it has {policy!r}"
    if about.get("aof_last_write_status", "ok") != "ok":
        return f"{name} cannot write to its disk: make room there"
    return None


async def ceiling(client: Redis) -> int | None:
    """The server's maxmemory in bytes, None when it has none."""
    memory = await client.info("memory")
    return int(memory.get("maxmemory", 0)) or None
