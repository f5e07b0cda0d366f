"""While the object store of large results is away, or lets nobody in: nothing is lost, others go on."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from structlog.testing import capture_logs

from service.state import Service, open_service
from service.store import keys
from service.worker import tiler, writing
from service.worker.worker import compute
from tests.service.front.conftest import problem
from tests.service.workers import live_worker

from .conftest import ROWS, WAIT, body


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder any more")


def mend(folder: Path) -> None:
    folder.unlink()


async def test_a_store_that_cannot_be_used_is_503(
    client: httpx.AsyncClient, working: Any, folder: Path
) -> None:
    async with working():
        job = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
    replace_by_file(folder)
    answer = await client.get(job["links"]["ntk"])
    assert problem(answer, 503)["type"].endswith("store-unavailable")
    assert str(folder) not in answer.text


async def ended(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while job["state"] in ("queued", "running"):
            job = (await client.get(job["links"]["self"], headers=WAIT)).json()
    return job


async def until_said(words: str, logged: list[Any]) -> None:
    async with asyncio.timeout(30):
        while True:
            if any(words in entry["event"] for entry in logged):
                return
            await asyncio.sleep(0.02)


async def test_a_tile_whose_store_is_away_is_kept_and_written_again(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path
) -> None:
    replace_by_file(folder)
    with capture_logs() as logged:
        async with working():
            job = (await client.post("/v1/kernels", json=body())).json()
            await until_said("the object store is away", logged)
            mend(folder)
            job = await ended(client, job)
    assert job["state"] == "succeeded", job
    assert (await service.tallies.read()).tile_seconds[-1] == job["tiles_total"]


async def test_while_the_store_is_away_others_go_on_and_no_tile_is_to_blame(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(writing, "KEPT_LEAST_S", 0.0)
    monkeypatch.setattr(tiler, "ASIDE_S", 0.2)
    replace_by_file(folder)
    with capture_logs() as logged:
        async with working():
            large = (await client.post("/v1/kernels", json=body())).json()
            # More often than a tile may fail.
            async with asyncio.timeout(30):
                while sum("set aside" in entry["event"] for entry in logged) < 5:
                    await service.dispatch.sweep()
                    await asyncio.sleep(0.05)
            small = body(x1=ROWS[:3].tolist())
            small = (await client.post("/v1/kernels", json=small, headers=WAIT)).json()
            assert small["state"] == "succeeded"
            waiting = (await service.tallies.read()).pending
            assert 0 < waiting <= large["tiles_total"]
            mend(folder)
            async with asyncio.timeout(60):
                while (await service.jobs.get("default", large["id"])).state != "succeeded":
                    await service.dispatch.sweep()
                    await asyncio.sleep(0.1)
    assert await service.client.exists(keys.ASIDE, keys.RING) == 0


async def test_a_job_that_is_set_aside_can_be_cancelled(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(writing, "KEPT_LEAST_S", 0.0)
    replace_by_file(folder)
    with capture_logs() as logged:
        async with working():
            job = (await client.post("/v1/kernels", json=body())).json()
            await until_said("set aside", logged)
            cancelled = await client.patch(job["links"]["self"], json={"state": "cancelled"})
            assert cancelled.json()["state"] == "cancelled"
    assert await service.client.exists(keys.ASIDE) == 0


@pytest.mark.parametrize(
    "answer", [PermissionDeniedError("no"), UnauthenticatedError("no"), FileNotFoundError("no")]
)
async def test_a_store_that_refuses_fails_the_job_at_once(
    client: httpx.AsyncClient, working: Any, answer: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise answer

    monkeypatch.setattr("service.store.far_tiles.obstore.put_async", refuse)
    async with working():
        job = await ended(client, (await client.post("/v1/kernels", json=body())).json())
    assert job["state"] == "failed"
    assert job["error"]["type"].endswith("store-closed")
    assert "operator" in job["error"]["detail"]


async def test_a_worker_that_knows_of_no_store_fails_what_is_in_one_and_goes_on(
    client: httpx.AsyncClient, service: Service
) -> None:
    large = (await client.post("/v1/kernels", json=body())).json()
    small = (await client.post("/v1/kernels", json=body(x1=ROWS[:3].tolist()))).json()
    async with (
        open_service(replace(service.settings, results_url="")) as without,
        live_worker(without, compute),
    ):
        large, small = await ended(client, large), await ended(client, small)
    assert large["error"]["type"].endswith("store-closed")
    assert small["state"] == "succeeded"
