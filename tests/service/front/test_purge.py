"""DELETE /v1/datasets/{id} takes the tiles made from it along, and harms no job."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from service.state import Service

from .conftest import DENSE

WAIT = {"Prefer": "wait=60"}


@pytest.fixture
async def uploaded(client: httpx.AsyncClient, npy: Callable[[Any], bytes]) -> Callable[..., Any]:
    """Upload rows of a seed; the resource."""

    async def upload(seed: int, rows: int = 3) -> dict[str, Any]:
        x = np.random.default_rng(seed).standard_normal((rows, 2)).astype("float32")
        return (await client.post("/v1/datasets", content=npy(x))).json()

    return upload


def body(*datasets: dict[str, Any], **more: Any) -> dict[str, Any]:
    sides = {
        f"x{side}": {"dataset": dataset["id"]} for side, dataset in enumerate(datasets, start=1)
    }
    return {"architecture": DENSE, **sides, **more}


async def tiles(service: Service) -> int:
    return len([name async for name in service.tiles_client.scan_iter("gramd:tile:*")])


async def matrix(client: httpx.AsyncClient, job: dict[str, Any]) -> np.ndarray:
    response = await client.get(job["links"]["ntk"])
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


async def test_the_tiles_of_every_job_made_from_it_go_and_no_others(
    client, service, working, uploaded
):
    first, second = await uploaded(1), await uploaded(2)
    async with working():
        jobs = [
            (await client.post("/v1/kernels", json=asked, headers=WAIT)).json()
            for asked in (
                body(first),
                body(first, second),
                body(second, first, outputs=["ntk"]),
                body(second),
            )
        ]
        before = [await matrix(client, job) for job in jobs]
        assert await tiles(service) == 4
        # A job's own end does not end the memory of what was made.
        await client.delete(jobs[0]["links"]["self"])
        assert (await client.delete(first["links"]["self"])).status_code == 204
        assert await tiles(service) == 1
        # The other jobs hold their rows: what is fetched of them is computed again.
        for job, values in list(zip(jobs, before, strict=True))[1:]:
            assert np.array_equal(await matrix(client, job), values)
    assert [name async for name in service.client.scan_iter(f"*{first['id']}*")] == []


async def test_a_job_that_runs_goes_on(client, service, working, uploaded):
    dataset = await uploaded(1, rows=600)
    job = (await client.post("/v1/kernels", json=body(dataset))).json()
    assert job["state"] == "queued"
    assert (await client.delete(dataset["links"]["self"])).status_code == 204
    async with working():
        ended = (await client.get(job["links"]["self"], headers=WAIT)).json()
        assert ended["state"] == "succeeded"
        assert (await matrix(client, ended)).shape == (600, 600)


async def test_uploading_it_again_finds_nothing(client, working, uploaded):
    async with working():
        for _ in range(2):
            dataset = await uploaded(1)
            job = (await client.post("/v1/kernels", json=body(dataset), headers=WAIT)).json()
            assert job["receipt"]["tiles"] == {"total": 1, "computed": 1, "reused": 0}
            await client.delete(dataset["links"]["self"])
