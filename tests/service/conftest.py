"""Two real redis-servers for the session, empty for every test; every key needs a TTL."""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from service.processes.embedded import (
    EmbeddedServer,
    find_redis_server,
    servers,
    wait_until_answering,
)
from service.settings import Settings
from service.state import Service, open_service
from tests.service.lifetimes import immortal

TILES_BYTES = 64 << 20


@dataclass(frozen=True)
class Stores:
    """The running servers, queue first."""

    queue: EmbeddedServer
    tiles: EmbeddedServer


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """The embedded servers, as `serve` would start them, in a directory with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="gramd-test-"))
    pair = servers(folder, 0, TILES_BYTES)
    binary = find_redis_server()
    running = [subprocess.Popen(server.command(binary)) for server in pair]
    try:
        for server, process in zip(pair, running, strict=True):
            wait_until_answering(server, 30, lambda p=process: p.poll() is None)
        yield Stores(*pair)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def settings(stores: Stores, tmp_path: Path) -> Iterator[Settings]:
    """Settings on empty stores; afterwards no key may be left without a TTL (see `keys`)."""
    clients = [redis.Redis.from_url(server.url) for server in (stores.queue, stores.tiles)]
    for client in clients:
        client.flushall()
    yield replace(
        Settings(),
        redis_url=stores.queue.url,
        tiles_url=stores.tiles.url,
        data_dir=tmp_path,
        lease=timedelta(seconds=2),
        sweep_interval=timedelta(seconds=0.5),
    )
    left = [name for client in clients for name in immortal(client)]
    for client in clients:
        client.close()
    assert left == [], "keys without a TTL that service/store/keys.py does not declare permanent"


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """The open service, without workers."""
    async with open_service(settings) as opened:
        yield opened
