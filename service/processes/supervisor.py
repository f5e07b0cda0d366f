"""`python -m service serve`: the embedded stores, the API and the workers as one command.

    supervisor --- redis-server (queue)   no REDIS_URL only; end it, and the queue is on disk
               |-- redis-server (tiles)   no REDIS_URL only; snapshot at a clean end
               |-- python -m service api
               `-- python -m service worker   x N

Children are started again when they die, later each time they die young. All of them end with the
supervisor, even when it is killed: `children.spawn` ties them to it.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

from service.access.exposure import keys_exist, listen, refuse_exposure
from service.logs import get_logger
from service.processes.children import spawn, stop
from service.processes.data_dir import lock, make_directory
from service.processes.embedded import find_redis_server, servers, wait_until_answering
from service.settings import Settings

log = get_logger(__name__)

# A child that lives this long was healthy; one that dies younger waits longer before each start.
HEALTHY_S = 20.0
BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0
# Tiles that one worker computes at once share what it compiles, the one-input results and the memory:
# 200 film reviews took two workers of one CPU each a quarter longer than one of two. But Python's part
# of a tile, some 10 ms of 150 at the least, is one thread's at a time.
CPUS_OF_A_WORKER = 8
POLL_S = 0.1
READY_POLL_S = 0.02
# How long workers wait for their turn to start when others do not get ready.
TURN_S = 10.0
# How long the stores may take to load what is on disk.
LOAD_S = 120.0
# glibc raises this limit by itself to what was freed last, and then keeps freed buffers: a worker's
# memory went to 1.6 times its plan (docs/performance.md). It reads the variable when it starts.
# Without the second limit, and with 2 MiB for the first, a ninth of the time of film reviews went into
# pages given back and made anew.
# Each thread kept as much for itself, those of XLA's products too, until they shared the first arena.
WORKER_MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "8388608",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}
# The API keeps the memory of what it has sent, 64 MiB at most, for what it sends next, whichever of
# its threads put it together: a sixth of the time of a fetch were pages given back and made anew.
API_MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}


class Stopping(Exception):
    """A signal asked the supervisor to end."""


@dataclass
class Child:
    """A process that is kept running: how to start it, and when it may be started next."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = BACKOFF_S
    not_before: float = 0.0

    def running(self) -> bool:
        """Whether its process has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def keep_running(self) -> None:
        """Start it, or start it again when it has ended and its time has come."""
        moment = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            lived = moment - self.started
            self.backoff = BACKOFF_S if lived > HEALTHY_S else min(2 * self.backoff, BACKOFF_MAX_S)
            self.not_before = moment + (0.0 if lived > HEALTHY_S else self.backoff)
            log.warning(
                "a child ended; starting it again", child=self.name, code=self.process.returncode
            )
            self.process = None
        if self.process is None and moment >= self.not_before:
            self.process, self.started = self.start(), moment


class Supervisor:
    """Runs the whole service until SIGTERM or SIGINT. Use `run`, on the main thread."""

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._stores: list[Child] = []
        self._sockets: Path | None = None
        self._children: list[Child] = []
        self._queue_url = ""
        self._told = False

    def run(self) -> int:
        """Start everything, say where it listens, look after it; returns the exit code.

        Raises StartError, with nothing left behind, when it cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._tell)
        try:
            with listen(self._host, self._port) as listener:
                self._start(listener)
                self._look_after(listener)
        except Stopping:
            log.info("stopping")
        finally:
            # A second Ctrl-C must not leave half of it running.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            self._stop()
        return 0

    def _tell(self, number: int, frame: FrameType | None) -> None:
        """A signal: what is under way ends at once, unless it swallows what it does not know."""
        self._told = True
        raise Stopping

    def _start(self, listener: socket.socket) -> None:
        settings = self._settings
        make_directory(settings.data_dir, "data directory")
        compiled = settings.compile_dir or settings.data_dir / "compiled"
        make_directory(compiled, "directory for compiled programs (GRAMD_COMPILE_DIR)")
        settings = replace(settings, compile_dir=compiled)
        if settings.redis_url is None:
            settings = self._start_stores(settings)
        self._queue_url = settings.redis_url or ""
        # The API would refuse as well, but would be started again and again.
        refuse_exposure(settings, listener)
        environ = {**os.environ, **settings.to_env()}
        api = [sys.executable, "-m", "service", "api", "--fd", str(listener.fileno())]
        worker = [sys.executable, "-m", "service", "worker"]
        for_api, for_workers = {**API_MALLOC, **environ}, {**WORKER_MALLOC, **environ}
        shares = shares_of(cpus(), settings.workers)
        if shares[0] is not None:
            for_workers["GRAMD_WORKERS"] = "1"  # each has its CPUs to itself
        self._children = [
            Child("the API", partial(spawn, api, environ=for_api, pass_fds=[listener.fileno()])),
            *(
                Child(f"worker {number}", partial(spawn, worker, environ=for_workers, cpus=share))
                for number, share in enumerate(shares, 1)
            ),
        ]

    def _start_stores(self, settings: Settings) -> Settings:
        binary = find_redis_server()
        held = lock(settings.data_dir)
        pair = servers(settings.data_dir, settings.queue_bytes, settings.tiles_bytes)
        self._sockets = pair[0].socket.parent
        for server in pair:
            command = server.command(binary)
            # They inherit the lock: the directory is theirs until their data is on disk.
            start = partial(spawn, command, on_parent_death=signal.SIGTERM, pass_fds=[held])
            store = Child(f"the {server.name} store", start)
            self._stores.append(store)
            store.keep_running()
        for server, store in zip(pair, self._stores, strict=True):
            wait_until_answering(server, LOAD_S, store.running)
        return replace(settings, redis_url=pair[0].url, tiles_url=pair[1].url)

    def _look_after(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        # A process computes for a second until it has started. More of them at once than there are
        # CPUs would all be late: the first result waits for the API and one worker only.
        first = self._children[: max(2, len(cpus()) or len(self._children))]
        turn = time.monotonic() + TURN_S
        self._keep_running(first)
        while not _ready(host, port):
            late = time.monotonic() > turn
            self._keep_running(self._children if late else first)
            time.sleep(POLL_S if late else READY_POLL_S)
        self._keep_running(self._children)
        _say(host, port)
        if not keys_exist(self._queue_url):
            _say_open()
        while True:
            self._keep_running(self._children)
            time.sleep(POLL_S)

    def _keep_running(self, children: Sequence[Child]) -> None:
        if self._told:
            # It came while Python ran a destructor or a callback, which lets nothing out.
            raise Stopping
        for child in (*self._stores, *children):
            child.keep_running()

    def _stop(self) -> None:
        # The stores go last: workers give back what they have begun, and need a little more
        # than the time they may take for it.
        patience = self._settings.grace.total_seconds() + 5
        for group, seconds in ((self._children, patience), (self._stores, LOAD_S)):
            running = [child.process for child in group if child.process is not None]
            for process in running:
                process.terminate()
            deadline = time.monotonic() + seconds
            for process in running:
                stop(process, max(0.1, deadline - time.monotonic()))
        if self._sockets is not None:
            # A deep data directory has its sockets elsewhere. A killed store leaves its socket
            # there; then the directory stays for the next start.
            with contextlib.suppress(OSError):
                self._sockets.rmdir()


def _say(host: str, port: int) -> None:
    """What is meant for the person who started it; logs go to stderr."""
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"gramd listens on http://{shown}:{port} (Ctrl-C stops it)\n")
    sys.stdout.flush()


def _say_open() -> None:
    sys.stdout.write(
        "There are no API keys: whoever can reach this address can use it. "
        "`python -m service keys create` makes the first.\n"
    )
    sys.stdout.flush()


def _ready(host: str, port: int) -> bool:
    # Listening on every address, it is asked on this machine's own.
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (recognised, not bound)
    connection = http.client.HTTPConnection(target, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def cpus() -> list[int]:
    """Those that this process may run on; none where that is not known."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def workers_for(cpus: int) -> int:
    """Workers of a machine whose operator did not say how many; 0 CPUs where that is not known."""
    return max(1, cpus // CPUS_OF_A_WORKER)


def shares_of(cpus: Sequence[int], workers: int) -> list[list[int] | None]:
    """The CPUs of each worker, None for any.

    A process that computes with as many threads as it has CPUs is faster when no other one does on
    the same: two that share two CPUs take a fifth longer (docs/performance.md).
    """
    share = len(cpus) // workers
    if share == 0:
        return [None] * workers
    return [list(cpus[share * number : share * (number + 1)]) for number in range(workers)]
