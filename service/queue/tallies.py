"""What the workers have done since the stores were made: counts on Redis A, which outlive them.

    jobs:created, jobs:STATE            jobs made, and ended in that state
    tiles:computed, :reused, :failed    tiles, as receipts count them, and those given up
    tile_seconds:sum, tile_seconds:LE   computed tiles by how long they took (LE: upper bound)

All but the last are counted by the scripts that change what they count (service.store.scripts).
"""

from bisect import bisect_left
from dataclasses import dataclass

from redis.asyncio import Redis

from service.store import keys
from service.store.connection import raw
from service.store.counts import LOOK

# Upper bounds in seconds: from the smallest tile of vectors to the deadline's default.
TILE_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 600.0)
OUTCOMES = ("computed", "reused", "failed")
ENDS = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Work:
    """One look at the counts. `tile_seconds` has for each bound of TILE_SECONDS, and for infinity,
    how many tiles took at most that long."""

    queued: int
    running: int
    pending: int
    in_flight: int
    created: int
    ended: dict[str, int]
    tiles: dict[str, int]
    tile_seconds: list[int]
    tile_seconds_sum: float


class Tallies:
    """Counts tiles' seconds, and reads all counts."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._look = client.register_script(LOOK)

    async def computed(self, seconds: float) -> None:
        """A tile was computed in that time."""
        bounds = (*map(str, TILE_SECONDS), "inf")
        bound = bounds[bisect_left(TILE_SECONDS, seconds)]
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(keys.TALLIES, f"tile_seconds:{bound}")
            pipe.hincrbyfloat(keys.TALLIES, "tile_seconds:sum", seconds)
            await pipe.execute()

    async def read(self) -> Work:
        """The counts, and what is under way."""
        queued, running, pending, in_flight = await self._look(
            keys=[keys.LIVE, keys.RING, keys.INFLIGHT, keys.ASIDE]
        )
        stored: dict[bytes, bytes] = raw(await self._client.hgetall(keys.TALLIES))

        def count(name: str) -> int:
            return int(stored.get(name.encode(), 0))

        seconds: list[int] = []
        for bound in (*map(str, TILE_SECONDS), "inf"):
            seconds.append(count(f"tile_seconds:{bound}") + (seconds[-1] if seconds else 0))
        return Work(
            queued=queued,
            running=running,
            pending=pending,
            in_flight=in_flight,
            created=count("jobs:created"),
            ended={end: count(f"jobs:{end}") for end in ENDS},
            tiles={outcome: count(f"tiles:{outcome}") for outcome in OUTCOMES},
            tile_seconds=seconds,
            tile_seconds_sum=float(stored.get(b"tile_seconds:sum", 0)),
        )
