"""A service of one's own for as long as a script runs."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

READY_SECONDS = 120.0
STOP_SECONDS = 30.0


@contextmanager
def running_service(data_dir: Path) -> Generator[str, None, None]:
    """Start `python -m service serve` on a free port of this machine and yield its address.

    What it computes stays in `data_dir` for the next time; its log is `data_dir`/service.log. On
    the way out the service is told to stop and waited for. Exits with the end of the log when it
    does not start.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "service.log"
    port = free_port()
    command = [sys.executable, "-m", "service", "serve"]
    command += ["--port", str(port), "--data-dir", str(data_dir)]
    print(f"Starting the service on http://127.0.0.1:{port} (data and log: {data_dir})")
    # The stores are the service's own, whatever else this shell is set up for.
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environ
        )
    # A terminal that closes or a `kill` ends the script through the block below, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return once /readyz says yes; exit with the end of the log if that does not happen."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    lines = log.read_text(errors="replace").splitlines()[-20:]
    raise SystemExit("\n".join([*lines, f"The service did not start; its whole log is {log}"]))
