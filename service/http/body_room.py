"""How many bytes of request bodies a process holds in memory, all requests together.

Each body has its own limit; many at once would still take all memory there is. Bytes are booked as
they come, so that a body that is announced and does not come keeps nobody out, and while its tenant
holds no more than stays free: one tenant has at most half of the room, two three quarters, and there
is always some left for the next. What is small takes no room at all, so that a job can be cancelled
whatever else is read.

Nobody waits for room. A body whose bytes find none is refused with 503 and Retry-After and gives
back what it held, so that the others go on; the last one left has half of the room, which is at
least one body (service.settings).
"""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request

from service.http.problems import Busy

# The first bytes of a body, which are not counted: the server holds as many of every connection
# unread (uvicorn's HIGH_WATER_LIMIT), whatever is done here.
SMALL_BYTES = 64 << 10

_HELD = "body_bytes"


class BodyRoom:
    """The room for bodies of one process; of `limit` bytes each tenant holds `held[tenant]`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = Counter[str]()

    def check(self, tenant: str, size: int) -> None:
        """Raises Busy unless the tenant may have `size` more bytes."""
        own, held = self.held[tenant], self.held.total()
        # As much as the tenant would hold is to be free when it does.
        needed = held + size + own + size
        if size and needed > self.limit:
            raise Busy(
                f"{held} bytes of bodies are being read, {own} of them this tenant's, which may"
                f" have as many as stay free of {self.limit}; send this again in a moment",
                limit=self.limit,
                actual=needed,
                also={"limit_name": "max_reading_bytes"},
                # What is left of the body is not read.
                headers={"Retry-After": "1", "Connection": "close"},
            )

    def add(self, tenant: str, size: int) -> None:
        """The tenant holds `size` more bytes, or less."""
        self.held[tenant] += size
        if not self.held[tenant]:
            # Or there would be a name for every tenant that ever was.
            del self.held[tenant]


def expect(request: Request, size: int) -> None:
    """A body of `size` bytes is announced; raises Busy when there is no room for them by now."""
    state = request.scope["state"]
    _room(request).check(state["tenant"], _counted(size))


def take(request: Request, came: int) -> None:
    """Of the request's body `came` bytes are here; raises Busy when there is no room for them."""
    room, state = _room(request), request.scope["state"]
    more = _counted(came) - state.get(_HELD, 0)
    room.check(state["tenant"], more)
    room.add(state["tenant"], more)
    state[_HELD] = _counted(came)


def give_back(request: Request) -> None:
    """The request's body is no longer in memory; harmless when it had none."""
    state = request.scope["state"]
    if size := state.pop(_HELD, 0):
        _room(request).add(state["tenant"], -size)


def _room(request: Request) -> BodyRoom:
    return request.app.state.body_room


def _counted(size: int) -> int:
    return max(0, size - SMALL_BYTES)
