"""Results that the tile store could not keep go to an object store, a folder here, and come back."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from service.errors import OverLimit, StartError
from service.requests.kernels import read_kernel_request
from service.state import Service, open_service
from service.store import keys
from service.store.far_tiles import check_object_store, open_object_store
from service.store.tiles import far_name
from tests.service.front.conftest import DENSE

from .conftest import ROWS, WAIT, body


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def matrix(client: httpx.AsyncClient, job: dict[str, Any], query: str = "") -> np.ndarray:
    answer = await client.get(job["links"]["ntk"] + query)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


async def test_a_large_result_is_written_to_the_object_store_and_read_from_it(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path
) -> None:
    limits = (await client.get("/v1/limits")).json()["limits"]
    assert limits["max_stored_result_bytes"] == service.settings.max_stored_result_bytes
    # Of predictions, which stay in Redis.
    assert limits["max_result_bytes"] < 4 << 20
    async with working():
        job = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
        assert job["state"] == "succeeded"
        assert [name async for name in service.tiles_client.scan_iter("gramd:tile:*")] == []
        # Both outputs of every tile, and what made it.
        assert len(files(folder)) == 3 * job["tiles_total"] > 3
        expected = kernel_matrix(DENSE, ROWS, outputs=("ntk",), dtype="float64")["ntk"]
        assert np.array_equal(await matrix(client, job), expected)
        due = await service.client.zrange(keys.FAR_DUE, 0, -1, withscores=True)
        estimate = (await client.post("/v1/estimates", json=body())).json()
        assert estimate["tiles"]["cached"] == job["tiles_total"]
        # Tiles live no longer for it.
        assert await service.client.zrange(keys.FAR_DUE, 0, -1, withscores=True) == due
        part = await matrix(client, job, "?rows=100:103&cols=600:")
        assert np.array_equal(part, expected[100:103, 600:])
        again = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
        tiles = {"total": job["tiles_total"], "computed": 0, "reused": job["tiles_total"]}
        assert again["receipt"]["tiles"] == tiles
        assert again["receipt"]["jax_version"] == job["receipt"]["jax_version"]
        # What is small stays in Redis.
        small = body(x1=ROWS[:3].tolist())
        await client.post("/v1/kernels", json=small, headers=WAIT)
        assert len([name async for name in service.tiles_client.scan_iter("gramd:tile:*")]) == 1


async def test_objects_that_vanish_or_are_past_their_time_are_computed_again(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path
) -> None:
    far = service.tiles.far
    assert far is not None
    async with working():
        job = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
        before = await matrix(client, job)
        shutil.rmtree(folder / "default")
        assert np.array_equal(await matrix(client, job), before)
        assert await far.delete_due() == 0
        due = await service.client.zrange(keys.FAR_DUE, 0, -1)
        assert len(due) == job["tiles_total"]
        for name in (keys.FAR_DUE, keys.FAR_WHOLE):
            await service.client.zadd(name, dict.fromkeys(due, 1.0))
        # Until they are deleted they are past their time, and a look at them brings none back.
        assert await service.tiles.present("default", [due[0].decode().split(":")[1]]) == [False]
        assert await far.delete_due() == len(due)
        assert files(folder) == []
        assert await service.client.exists(keys.FAR_DUE, keys.FAR_WHOLE) == 0
        assert np.array_equal(await matrix(client, job), before)


async def test_deleting_the_dataset_deletes_them(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path,
    npy: Callable[[Any], bytes],
) -> None:  # fmt: skip
    dataset = (await client.post("/v1/datasets", content=npy(ROWS))).json()
    async with working():
        made = body(x1={"dataset": dataset["id"]})
        assert (await client.post("/v1/kernels", json=made, headers=WAIT)).status_code == 200
    assert files(folder)
    assert (await client.delete(dataset["links"]["self"])).status_code == 204
    assert files(folder) == []
    assert await service.client.exists(keys.FAR_DUE, keys.FAR_WHOLE) == 0


async def stored(service: Service) -> int:
    """What the tenant's tiles in the object store are counted as, bytes."""
    return int(await service.client.hget(keys.FAR_TOTALS, "default") or 0)


async def test_what_is_stored_is_counted_and_given_back(
    client: httpx.AsyncClient, service: Service, working: Any, folder: Path
) -> None:
    far = service.tiles.far
    assert far is not None
    async with working():
        first = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
        size = sum(path.stat().st_size for path in files(folder))
        assert await stored(service) == size > 2 * 8 * 620 * 620 / 2
        lines = (await client.get("/metrics")).text.splitlines()
        assert (
            float(next(x for x in lines if x.startswith("gramd_stored_bytes ")).split()[1]) == size
        )
        # Another job of the same tiles adds nothing, and keeps them when the first is deleted.
        second = (await client.post("/v1/kernels", json=body(), headers=WAIT)).json()
        await client.delete(first["links"]["self"])
        assert await far.delete_due() == 0
        assert await stored(service) == size
        await client.delete(second["links"]["self"])
        assert await far.delete_due() == first["tiles_total"]
    assert files(folder) == []
    names = (
        keys.FAR_TOTALS,
        keys.FAR_SIZES,
        keys.FAR_DUE,
        keys.FAR_WHOLE,
        "gramd:far:jobs:default",
    )
    assert await service.client.exists(*names) == 0


async def test_the_quota_counts_what_is_there_and_what_is_on_its_way(
    service: Service, left_behind: Any
) -> None:
    result = 2 * 8 * 620 * 620
    quota = result + result // 4
    settings = replace(service.settings, max_stored_bytes=quota)
    async with open_service(settings) as strict:
        assert (await strict.limits())["max_stored_bytes"] == quota
        job = await strict.jobs.create("default", await _request(strict))
        before = await left_behind()
        # Nothing is computed yet, and yet the second does not fit beside the first, which, symmetric,
        # takes somewhat more than half of its matrix.
        larger = await _request(strict, x2=(ROWS + 1).tolist())
        with pytest.raises(OverLimit) as caught:
            await strict.jobs.create("default", larger)
        assert caught.value.limit == "max_stored_bytes"
        assert quota < caught.value.actual < 2 * result
        assert await left_behind() == before
        refusal = (await strict.estimates.estimate("default", larger)).refusal
        assert refusal is not None
        assert refusal.limit_name == "max_stored_bytes"
        # Another tenant has a quota of its own, and what is cancelled is not on its way any more.
        await strict.jobs.create("other", larger)
        await strict.jobs.cancel("default", job.id)
        await strict.jobs.create("default", larger)


async def test_without_one_the_limit_is_named_with_the_remedy(
    client: httpx.AsyncClient, service: Service
) -> None:
    for changes, limit in (
        ({"results_url": ""}, "max_result_bytes"),
        ({"max_stored_result_bytes": 1000}, "max_stored_result_bytes"),
    ):
        async with open_service(replace(service.settings, **changes)) as strict:
            request = await _request(strict)
            with pytest.raises(OverLimit) as caught:
                await strict.jobs.create("default", request)
            assert caught.value.limit == limit
            assert caught.value.actual > caught.value.value
            assert ("GRAMD_RESULTS_URL" in caught.value.detail) == (limit == "max_result_bytes")
            assert limit in await strict.limits()


async def _request(service: Service, **more: Any) -> Any:
    return await read_kernel_request(
        body(**more), {}, "default", service.datasets, service.settings
    )


def test_an_address_that_is_none_is_said_at_start(tmp_path: Path) -> None:
    for url in ("ftp://x/y", "http://x/y", "results", "s3://"):
        with pytest.raises(StartError, match="GRAMD_RESULTS_URL"):
            open_object_store(url)
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="GRAMD_RESULTS_URL"):
        check_object_store(f"file://{tmp_path}/file")
    check_object_store(f"file://{tmp_path}/folder")
    assert far_name("0" * 64) != "0" * 64
