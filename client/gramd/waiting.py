"""Waiting for a job: by its events (Server-Sent Events) for whoever watches, by asking for the others.

    retry: 2000
    id: 1732270000000-0
    event: progress
    data: {"state": "running", "tiles_done": 3, "tiles_total": 36}

A stream that breaks off is taken up after the last event that came (Last-Event-ID). Where there are
no events to be had (a proxy that keeps them back, too many streams), the service is asked instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gramd.errors import StillRunning
from gramd.exchange import Lost, Pause, Reply, Request, Send, Talk
from gramd.jobs import Job, JobLike, look
from gramd.retry import Retry, Tries

if TYPE_CHECKING:
    from gramd.progress import Listener

# Seconds that the service may hold one request while a job runs; shorter when somebody watches.
HELD = 20.0
WATCHED = 1.0
# A stream of events says something this often, so that one can tell whether to go on with it.
STREAM_SAYS = 20.0
# Between questions, should something in between not let them be held.
SHORTEST = 0.3
EVENTS = "text/event-stream"
# The service says something every 15 seconds; a stream that is silent for longer is dead.
SILENCE = 35.0
# An event longer than this is none of the service's.
LONGEST = 1 << 16


def wait(
    collection: str,
    job: JobLike,
    retry: Retry,
    heard: Listener | None = None,
    timeout: float | None = None,
) -> Talk[Job]:
    """The job when it has ended; raises StillRunning after `timeout` seconds.

    Who watches hears of its events as they come; where that does not work, and where nobody does,
    the service is asked. A lost connection is no reason to end: the job goes on meanwhile.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        now = job if isinstance(job, Job) else (yield from look(collection, job, retry))
        if heard is not None and not now.ended:
            heard(now)
            until = None if deadline is None else deadline - STREAM_SAYS
            yield from follow(now, heard, retry, until)
            now = yield from look(collection, now, retry)
        while True:
            if heard is not None:
                heard(now)
            if now.ended:
                return now
            held = HELD if heard is None else WATCHED
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise StillRunning(f"{now.id} is {now.state} after {timeout:g} s", now)
                held = min(held, left)
            asked = time.monotonic()
            now = yield from look(collection, now, retry, held)
            took = time.monotonic() - asked
            if not now.ended and took < SHORTEST:
                yield Pause(SHORTEST - took)
    finally:
        if heard is not None:
            heard.close()


class EventStream:
    """A sink that reads events as they come, and tells `heard` of the job after each of them."""

    def __init__(self, job: Job, heard: Callable[[Job], None]) -> None:
        self.job = job
        self.last_id: str | None = None
        self.understood = True
        self.events = 0
        self._heard = heard
        self._rest = b""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A stream starts, perhaps not the first; what broke off half-way is not an event."""
        self.understood = headers.get("content-type", "").startswith(EVENTS)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """The next bytes; whatever is no event is left alone."""
        if not self.understood:
            return
        *whole, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        self.understood = len(self._rest) < LONGEST
        for block in whole:
            self._read(block.decode("utf-8", "replace"))

    def _read(self, block: str) -> None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        if "data" not in fields:  # a comment, or `retry`
            return
        try:
            news = json.loads(fields["data"])
            known = {name: news[name] for name in ("state", "tiles_done", "tiles_total")}
        except (ValueError, KeyError, TypeError):
            self.understood = False
            return
        self.last_id = fields.get("id") or self.last_id
        self.events += 1
        # How long it will still take was said of another moment.
        self.job = Job({**self.job.document, **known, "eta_s": None})
        self._heard(self.job)


def follow(job: Job, heard: Listener, retry: Retry, until: float | None) -> Talk[Job]:
    """The job as its last event told of it; ends with the job, at `until` (monotonic), or when there
    are no events to be had, which is no error."""
    path = job.document["links"].get("events")
    if path is None:
        return job
    stream, tries = EventStream(job, heard), Tries(retry)
    while not stream.job.ended and (until is None or time.monotonic() < until):
        headers = {"Accept": EVENTS}
        if stream.last_id is not None:
            headers["Last-Event-ID"] = stream.last_id
        before = stream.events
        try:
            sending = Send(Request("GET", path, headers=headers), stream, SILENCE, until)
            reply: Reply = yield sending
        except Lost:
            pass
        else:
            if reply.status != 200 or not stream.understood:  # 204: it has ended
                break
        if stream.events > before:
            tries = Tries(retry)
        if stream.job.ended:
            break
        seconds = tries.pause()
        if seconds is None:
            break
        yield Pause(seconds)
    return stream.job
