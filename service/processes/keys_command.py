"""`python -m service keys create | list | revoke`: the API keys of a running or resting service."""

import argparse
import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from redis.exceptions import RedisError

from service.access.api_keys import ApiKeys
from service.errors import StartError
from service.processes.children import spawn, stop
from service.processes.data_dir import lock, make_directory
from service.processes.embedded import find_redis_server, servers, wait_until_answering
from service.settings import Settings
from service.store.connection import connect

START_S = 120.0
STOP_S = 60.0


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do it; returns the exit code. Raises StartError when the keys cannot be reached."""
    with _queue_store(settings) as url:
        try:
            return asyncio.run(_act(options, url))
        except (RedisError, OSError) as error:
            raise StartError(f"the queue's Redis (REDIS_URL) cannot be used: {error}") from error


async def _act(options: argparse.Namespace, url: str) -> int:
    async with connect(url) as client:
        api_keys = ApiKeys(client)
        if options.action == "create":
            if options.metrics and options.tenant:
                raise StartError("a metrics key has no tenant: leave --tenant out")
            key, made = await api_keys.create(
                options.tenant,
                scope="metrics" if options.metrics else "tenant",
                name=options.name,
            )
            about = "reads /metrics" if options.metrics else f"tenant {made.tenant}"
            sys.stderr.write(f"key {made.id}, {about}; it is shown this once:\n")
            sys.stdout.write(f"{key}\n")
            return 0
        if options.action == "revoke":
            if not await api_keys.revoke(options.id):
                raise StartError(f"no key {options.id!r}; `keys list` shows them")
            sys.stderr.write(f"key {options.id} is worthless from the next request on\n")
            return 0
        sys.stdout.write(f"{'id':<14}{'tenant':<18}{'scope':<9}{'made':<22}{'revoked':<22}name\n")
        for key in await api_keys.list():
            sys.stdout.write(
                f"{key.id:<14}{key.tenant or '-':<18}{key.scope:<9}{_day(key.created_at):<22}"
                f"{_day(key.revoked_at):<22}{key.name}\n"
            )
        return 0


def _day(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def _queue_store(settings: Settings) -> Generator[str, None, None]:
    """The address of the queue's Redis; an embedded one that is not running runs meanwhile."""
    if settings.redis_url is not None:
        yield settings.redis_url
        return
    make_directory(settings.data_dir, "data directory")
    server, _ = servers(settings.data_dir, settings.queue_bytes, settings.tiles_bytes)
    if server.answers():
        yield server.url
        return
    held = lock(settings.data_dir)
    process = spawn(server.command(find_redis_server()), pass_fds=[held])
    try:
        wait_until_answering(server, START_S, lambda: process.poll() is None)
        yield server.url
    finally:
        # SIGTERM has it write its file.
        stop(process, STOP_S)
        os.close(held)
