"""How many bytes of request bodies a process holds in memory, all requests together.

Each body has its own limit; many at once would still take all memory there is. A body whose turn
it is not is refused before it is read, with 503 and Retry-After, and the others go on.
"""

from __future__ import annotations

from starlette.requests import Request

from service.http.problems import Busy

_HELD = "body_bytes"


class BodyRoom:
    """The room for bodies of one process; `held` bytes of `limit` are taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


def take(request: Request, size: int) -> None:
    """Book `size` more bytes for the request's body; raises Busy when there is no room for them."""
    room: BodyRoom = request.app.state.body_room
    if room.held + size > room.limit:
        raise Busy(
            f"{room.held} bytes of other requests are being read, and {room.limit} are allowed at"
            " once; send this again in a moment",
            limit=room.limit,
            actual=room.held + size,
            also={"limit_name": "max_reading_bytes"},
            # What is left of the body is not read.
            headers={"Retry-After": "1", "Connection": "close"},
        )
    room.held += size
    state = request.scope["state"]
    state[_HELD] = state.get(_HELD, 0) + size


def give_back(request: Request) -> None:
    """The request's body is no longer in memory; harmless when it had none."""
    size: int = request.scope["state"].pop(_HELD, 0)
    if size:
        request.app.state.body_room.held -= size
