"""A line to the service that breaks where a test says: plain TCP, forwarded both ways."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK = 16_384


class Faulty:
    """Forwards connections to `url`; `url` of its own is where a client goes.

    `cut_up` and `cut_down` are lists of byte counts: each connection takes the next one of each, and
    breaks off after so many bytes to or from the service (None: it does not).
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = parts.hostname, parts.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_up: list[int | None] = []
        self.cut_down: list[int | None] = []
        self.connections = 0
        self.broken = 0
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Unblocks accept, which closing alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            self._hang_up(end)
        for thread in self._threads:
            thread.join(10)

    def _start(self, run: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(self._target)
            self._open += [near, far]
            up = self.cut_up.pop(0) if self.cut_up else None
            down = self.cut_down.pop(0) if self.cut_down else None
            self._start(self._forward, near, far, up)
            self._start(self._forward, far, near, down)

    def _forward(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if left is not None and len(data) >= left:
                    target.sendall(data[:left])
                    self.broken += 1
                    break
                target.sendall(data)
                left = None if left is None else left - len(data)
        self._hang_up(source)
        self._hang_up(target)

    @staticmethod
    def _hang_up(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
