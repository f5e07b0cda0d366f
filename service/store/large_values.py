"""Large values from Redis, read from the socket into the memory where they stay.

redis-py gathers a reply in a buffer that grows, and takes the values out of it again. Without, 1 MiB in
an HMGET comes several times as fast (docs/performance.md).
"""

import io
import socket
from typing import Any

import numpy as np

# redis-py has no public way to say how replies are read; tests/service/room/test_large_values.py holds
# what is used of it.
from redis._parsers import _RESP2Parser  # pyright: ignore[reportPrivateUsage]
from redis._parsers.socket import SERVER_CLOSED_CONNECTION_ERROR, SYM_CRLF, SocketBuffer
from redis.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.utils import SENTINEL

# Below, redis-py's buffer has all of a value after one read.
LARGE_BYTES = 64 << 10


class LargeValues(_RESP2Parser):
    """A parser of replies (RESP 2) whose values of LARGE_BYTES and more are memoryviews, not bytes."""

    def on_connect(self, connection: Connection) -> None:
        super().on_connect(connection)
        assert self._sock is not None
        assert connection.socket_timeout is not None
        self._buffer = _Buffer(self._sock, self.socket_read_size, connection.socket_timeout)


class _Buffer(SocketBuffer):
    _sock: socket.socket
    _buffer: io.BytesIO

    def read(self, length: int, timeout: float | object = SENTINEL) -> Any:
        """A value of `length` bytes; the end of the line behind it is read, too."""
        if length < LARGE_BYTES:
            return super().read(length, timeout)
        # Not a bytearray, which would be filled with zeros first.
        view = np.empty(length + len(SYM_CRLF), np.uint8).data
        have = self._buffer.readinto(view)
        while have < len(view):
            more = self._sock.recv_into(view[have:])
            if not more:
                raise RedisConnectionError(SERVER_CLOSED_CONNECTION_ERROR)
            have += more
        return view[:length]
