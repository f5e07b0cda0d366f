"""What happens to jobs, told to whoever listens: one subscription for all listeners of a process.

    script --PUBLISH--> Events (one connection a process) --> Listener, one per request
           '--XADD----> the job's stream, from which a listener that comes back catches up

A listener gets the newest event that it has not seen. What it was too slow for is left out, since
every event tells the whole progress: thousands of slow listeners cost a flag each and no queue.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from service.logs import get_logger
from service.records import JobEvent
from service.store import keys
from service.store.connection import raw
from service.store.records import RecordStore

log = get_logger(__name__)

# Messages are lost while the connection is: the streams themselves are looked at this often.
LOOK = timedelta(seconds=2)
RECONNECT = timedelta(seconds=1)


class Listener:
    """One who waits for the events of one job."""

    def __init__(self) -> None:
        self._newest: JobEvent | None = None
        self._seen: tuple[int, ...] = ()
        self._told = asyncio.Event()

    async def next(self, seconds: float) -> JobEvent | None:
        """The newest event that was not returned before; None when there is none in `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return None
        self._told.clear()
        if self._newest is not None:
            self._seen = self._newest.order
        return self._newest

    def tell(self, event: JobEvent) -> None:
        """Take notice of an event, unless it is an old one."""
        if event.order > self._seen:
            self._newest = event
            self._told.set()

    def caught_up(self, event: JobEvent) -> None:
        """What the listener knows from elsewhere."""
        self._seen = max(self._seen, event.order)
        if self._newest is not None and self._newest.order <= self._seen:
            self._told.clear()


class Events:
    """The listeners of this process. The subscription begins with the first of them."""

    def __init__(self, client: Redis, records: RecordStore) -> None:
        self._client = client
        self._records = records
        self._listeners: dict[str, set[Listener]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    @asynccontextmanager
    async def listen(self, ref: str) -> AsyncGenerator[Listener, None]:
        """Inside, no event of the job is missed but for newer ones."""
        listener = Listener()
        self._listeners.setdefault(ref, set()).add(listener)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            await self._subscribed.wait()
            yield listener
        finally:
            self._listeners[ref].discard(listener)
            if not self._listeners[ref]:
                del self._listeners[ref]

    @property
    def listening(self) -> int:
        """How many listeners there are."""
        return sum(map(len, self._listeners.values()))

    async def close(self) -> None:
        """Stop listening."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(keys.ANNOUNCED)
                    await self._relay(pubsub)
            except (RedisError, OSError):
                log.warning("the queue's Redis cannot be reached; trying again", exc_info=True)
                # Whoever waits for the subscription has a store to ask and its error to report.
                self._subscribed.set()
                await asyncio.sleep(RECONNECT.total_seconds())

    async def _relay(self, pubsub: PubSub) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            message = raw(await pubsub.get_message(timeout=LOOK.total_seconds()))
            if message is not None and message["type"] == "subscribe":
                # From here on nothing is missed; what was before is in the streams.
                await self._look()
                self._subscribed.set()
            elif message is not None:
                ref, event_id, *fields = json.loads(message["data"])
                if ref in self._listeners:
                    self._tell(ref, JobEvent(event_id, *map(json.loads, fields)))
            if loop.time() > looked + LOOK.total_seconds():
                await self._look()
                looked = loop.time()

    async def _look(self) -> None:
        """Read the newest event of every job that somebody listens to."""
        refs = list(self._listeners)
        for ref, event in zip(refs, await self._records.newest_events(refs), strict=True):
            if event is not None:
                self._tell(ref, event)

    def _tell(self, ref: str, event: JobEvent) -> None:
        for listener in self._listeners.get(ref, ()):
            listener.tell(event)


@asynccontextmanager
async def open_events(client: Redis, records: RecordStore) -> AsyncGenerator[Events, None]:
    """The process's listeners; closed at the end of the block."""
    events = Events(client, records)
    try:
        yield events
    finally:
        await events.close()
