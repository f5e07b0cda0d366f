"""Which workers are alive, and what they are."""

import json
from dataclasses import asdict, dataclass

from redis.asyncio import Redis

from service.store import keys
from service.store.connection import now, raw

# KEYS: workers; ARGV: name, entry. In a full store too, or none would seem to be alive.
ANNOUNCE = """#!lua flags=allow-oom
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""


@dataclass(frozen=True)
class WorkerCard:
    """What a worker says of itself: how many tiles it computes at once, on what, with what."""

    name: str
    slots: int
    device_kind: str
    jax_version: str


class Roster:
    """The workers on this queue, each seen again every few seconds while it lives."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._announce = client.register_script(ANNOUNCE)

    async def announce(self, card: WorkerCard) -> None:
        """Say that the worker is alive and ready; forget those long dead."""
        moment = await now(self._client)
        entry = json.dumps(asdict(card) | {"seen": moment})
        await self._announce(keys=[keys.WORKERS], args=[card.name, entry])
        for name, seen, _ in await self._entries():
            if seen < moment - 6 * keys.WORKER_SEEN.total_seconds():
                await self._client.hdel(keys.WORKERS, name)

    async def leave(self, name: str) -> None:
        """Say that the worker is gone."""
        await self._client.hdel(keys.WORKERS, name)

    async def alive(self) -> list[WorkerCard]:
        """The workers seen lately."""
        since = await now(self._client) - keys.WORKER_SEEN.total_seconds()
        return [card for _, seen, card in await self._entries() if seen >= since]

    async def _entries(self) -> list[tuple[str, float, WorkerCard]]:
        found: list[tuple[str, float, WorkerCard]] = []
        values: dict[bytes, bytes] = raw(await self._client.hgetall(keys.WORKERS))
        for name, value in values.items():
            fields = json.loads(value)
            found.append((name.decode(), fields.pop("seen"), WorkerCard(**fields)))
        return found
