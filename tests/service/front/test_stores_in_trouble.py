"""A store that is away, or whose disk is full, is named to everyone and its address to nobody."""

import asyncio
import contextlib
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from service.app import create_app
from service.processes.embedded import find_redis_server, servers, wait_until_answering
from service.settings import Settings
from service.worker.worker import sweep

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}


@contextlib.contextmanager
def started(which: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An embedded server of its own, which learns that a file may not grow instead of dying of it."""
    folder = Path(tempfile.mkdtemp(prefix="gramd-test-"))
    server = servers(folder, 64 << 20, 64 << 20)[which]
    ignored = signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        process = subprocess.Popen(server.command(find_redis_server()), restore_signals=False)
    finally:
        signal.signal(signal.SIGXFSZ, ignored)
    try:
        wait_until_answering(server, 30, lambda: process.poll() is None)
        yield process, server.url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture
def limited() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Such a server of the queue."""
    with started(0) as server:
        yield server


def may_grow(process: subprocess.Popen[bytes], *, yes: bool) -> None:
    """Whether there is room on the disk of a process."""
    most = resource.RLIM_INFINITY if yes else 1
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@pytest.fixture
async def troubled(
    settings: Settings, limited: tuple[subprocess.Popen[bytes], str]
) -> AsyncIterator[httpx.AsyncClient]:
    """The application on that server."""
    application = create_app(replace(settings, redis_url=limited[1]))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gramd") as client:
            yield client


async def test_a_full_disk_is_named(troubled, limited):
    process, url = limited
    may_grow(process, yes=False)
    with Redis.from_url(url) as redis:
        async with asyncio.timeout(30):
            while redis.info("persistence")["aof_last_write_status"] == "ok":
                with contextlib.suppress(ResponseError):
                    redis.set("anything", "1", ex=60)
                await asyncio.sleep(0.1)
        with pytest.raises(ResponseError, match="MISCONF"):
            redis.set("anything", "1", ex=60)
    for answer in (
        await troubled.post("/v1/kernels", json=BODY),
        await troubled.get("/v1/kernels"),
    ):
        document = problem(answer, 503)
        assert "disk" in document["detail"]
        assert "retry-after" in answer.headers
    (reason,) = problem(await troubled.get("/readyz"), 503)["reasons"]
    assert reason == "the queue's Redis (REDIS_URL) cannot write to its disk: make room there"
    may_grow(process, yes=True)
    async with asyncio.timeout(30):
        while (await troubled.get("/v1/kernels")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert "disk" not in (await troubled.get("/readyz")).text


async def test_a_snapshot_that_fails_keeps_no_tile_out():
    with started(1) as (process, url), Redis.from_url(url) as redis:
        redis.set("anything", "1", ex=60)
        may_grow(process, yes=False)
        redis.bgsave()
        async with asyncio.timeout(30):
            while redis.info("persistence")["rdb_last_bgsave_status"] == "ok":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert redis.set("anything", "2", ex=60)


async def test_a_tile_store_that_cannot_write_snapshots_fails_no_job(
    client, service, working, monkeypatch
):
    write, refusals = service.tiles.write, [3]

    async def refused(*arguments: Any) -> None:
        refusals[0] -= 1
        if refusals[0] >= 0:
            raise ResponseError("MISCONF Redis is configured to save RDB snapshots")
        await write(*arguments)

    monkeypatch.setattr(service.tiles, "write", refused)
    async with working():
        job = await client.post("/v1/kernels", json=BODY, headers={"Prefer": "wait=30"})
        assert job.json()["state"] == "succeeded"
        assert (await service.tallies.read()).tile_seconds[-1] == 1
        # Nor anything that is made of it.
        refusals[0] = 3
        sweeping = asyncio.create_task(sweep(service))
        made = await client.get(job.json()["links"]["diagnostics"], headers={"Prefer": "wait=30"})
        sweeping.cancel()
    assert made.status_code == 200, made.text


async def test_the_address_of_a_store_that_is_away_is_in_the_log_only(troubled, limited, caplog):
    process, url = limited
    address = url.removeprefix("unix://").partition("?")[0]
    process.kill()
    process.wait()
    answer = await troubled.get("/readyz")
    (reason,) = problem(answer, 503)["reasons"]
    assert reason == "the queue's Redis (REDIS_URL) cannot be reached"
    assert address not in answer.text
    assert address in caplog.text
