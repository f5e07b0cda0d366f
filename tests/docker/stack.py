"""compose.yaml run as plain processes, where no container engine is at hand.

Commands, environments and health checks are taken from compose.yaml as they stand, interpolated as
compose does. What containers provide is replaced here and nowhere else:

| in containers | here |
|---|---|
| the host names redis-jobs, redis-tiles and their port 6379 | 127.0.0.1 and a free port each |
| the API's 0.0.0.0:8000 | 127.0.0.1 and a free port |
| the volumes /data and /var/cache/gramd | folders below the test's own |
| python of the image | python of this environment, which finds only what the image has (images.py) |
| redis-server, redis-cli of the image | the embedded redis-server; a client that answers alike |
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml

from service.processes.embedded import find_redis_server
from tests.docker.images import hide_from, lock_of

VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<rule>[-?])(?P<text>[^}]*))?\})")
# The image's redis-cli, as far as the health checks use it.
REDIS_CLI = """#!{python}
import os, sys, redis
port, words = int(sys.argv[sys.argv.index("-p") + 1]), sys.argv[-1:]
client = redis.Redis(port=port, password=os.environ["REDISCLI_AUTH"], decode_responses=True)
print("PONG" if client.execute_command(*words) else "?")
"""


def interpolate(text: str, environ: dict[str, str]) -> str:
    """Compose's ${NAME}, ${NAME:-default}, ${NAME:?message} and $$; KeyError for a missing one."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = environ.get(match["name"])
        if found:
            return found
        if match["rule"] == "-":
            return match["text"]
        raise KeyError(f"{match['name']}: {match['text']}")

    return VARIABLE.sub(value, text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """The services of a compose file as processes; `start` them in order, `stop` them all."""

    def __init__(self, compose: Path, folder: Path, environ: dict[str, str]) -> None:
        self._services = yaml.safe_load(compose.read_text())["services"]
        self._environ = environ
        self._folder = folder
        self._project = compose.parent.parent
        self._ports = {name: free_port() for name in ("redis-jobs", "redis-tiles", "api")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        (self._bin / "redis-server").symlink_to(find_redis_server())
        (self._bin / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (self._bin / "redis-cli").write_text(REDIS_CLI.format(python=sys.executable))
        for script in ("python", "redis-cli"):
            (self._bin / script).chmod(0o700)
        for name, service in self._services.items():
            if "build" in service:
                hide_from(self._of_image(name), lock_of(self._project, service))

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self._ports['api']}"

    def start(self, name: str) -> None:
        """Start a service's command in its environment, once what it depends on is healthy."""
        service = self._services[name]
        for needed in service.get("depends_on", {}):
            self.wait_healthy(needed)
        for volume in service.get("volumes", []):
            self._volume(name, volume).mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [self._adapt(name, word) for word in service["command"]],
                env=self._environment(name),
                cwd=self._project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def healthy(self, name: str) -> bool:
        """Whether the service's own health check passes now."""
        kind, *words = [
            self._adapt(name, word) for word in self._services[name]["healthcheck"]["test"]
        ]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        done = subprocess.run(
            command,
            env=self._environment(name),
            cwd=self._project,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def wait_healthy(self, name: str, seconds: float = 120) -> None:
        """Wait until the health check passes; AssertionError with the log when it does not."""
        deadline = time.monotonic() + seconds
        while not self.healthy(name):
            log = (self._folder / f"{name}.log").read_text()[-3000:]
            assert self._running[name].poll() is None, f"{name} ended:\n{log}"
            assert time.monotonic() < deadline, f"{name} never became healthy:\n{log}"
            time.sleep(0.2)

    def stop(self, *names: str) -> dict[str, int]:
        """Stop services as compose does (SIGTERM), last started first; their exit codes."""
        codes: dict[str, int] = {}
        for name in names or tuple(reversed(self._running)):
            process = self._running.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                codes[name] = process.wait(60)
            finally:
                process.kill()
        return codes

    def command_lines(self) -> list[str]:
        """What `ps` shows of every running service."""
        return [
            Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for process in self._running.values()
        ]

    def _environment(self, name: str) -> dict[str, str]:
        stated = self._services[name].get("environment", {})
        own = {key: self._adapt(name, str(value)) for key, value in stated.items()}
        # Nothing of this shell gets in but what a process cannot do without.
        modules = f"{self._of_image(name)}:{self._project}"
        base = {"PATH": f"{self._bin}:/usr/bin:/bin", "PYTHONPATH": modules}
        return base | {"HOME": os.environ.get("HOME", "/")} | own

    def _of_image(self, name: str) -> Path:
        return self._folder / "images" / name

    def _adapt(self, name: str, text: str) -> str:
        text = interpolate(text, self._environ)
        for host in ("redis-jobs", "redis-tiles"):
            text = text.replace(f"@{host}:6379/", f"@127.0.0.1:{self._ports[host]}/")
        if name.startswith("redis"):
            text = text.replace("6379", str(self._ports[name]))
        if name == "api":
            text = text.replace("8000", str(self._ports["api"]))
            text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  (it is what must not stay)
        for volume in self._services[name].get("volumes", []):
            text = text.replace(volume.partition(":")[2], str(self._volume(name, volume)))
        return text

    def _volume(self, name: str, volume: str) -> Path:
        return self._folder / "volumes" / volume.partition(":")[0]
