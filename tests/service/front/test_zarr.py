"""A job as a Zarr v3 group over HTTP, read back by zarr-python."""

import asyncio
import io
import json
import logging
import warnings
from typing import Any

import httpx
import numpy as np
import pytest
import zarr
from obstore.store import HTTPStore
from zarr.storage import ObjectStore

from .conftest import ATTENTION, DENSE, problem

WAIT = {"Prefer": "wait=60"}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 2)).astype("float32")


def read(url: str) -> dict[str, np.ndarray]:
    """All arrays of a group, as zarr-python reads them; its own attributes name the job."""
    store = HTTPStore.from_url(url, client_options={"allow_http": True})
    with warnings.catch_warnings():
        # Consolidated metadata stands beside the format's specification, not in it.
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        group = zarr.open_group(ObjectStore(store, read_only=True), mode="r", zarr_format=3)
        assert group.attrs["gramd"]["receipt"]["dtype"] in ("float32", "float64")
        return {name: np.asarray(array[...]) for name, array in group.arrays()}


async def post(client: httpx.AsyncClient, npy: Any, x: Any, **request: Any) -> dict[str, Any]:
    more = (
        {"files": {"x1": npy(x)}}
        if "mask" not in request
        else {"files": {"x1": npy(x), "mask1": npy(request.pop("mask"))}}
    )
    data = {"request": json.dumps({"architecture": DENSE} | request)}
    response = await client.post("/v1/kernels", data=data, headers=WAIT, **more)
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


async def opened(client: httpx.AsyncClient, job: dict[str, Any]) -> str:
    response = await client.post(job["links"]["self"] + "/zarr")
    assert response.status_code == 201, response.text
    assert response.headers["location"] == response.json()["links"]["zarr"]
    return response.headers["location"]


SEQUENCES = RNG.standard_normal((9, 80, 2)).astype("float32")
MASK = np.arange(80) < RNG.permutation([3, 70, 20, 80, 5, 40, 77, 1, 33])[:, None]
JOBS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "two groups": (X, {}),
    "diagonal": (X, {"form": "diagonal", "dtype": "float64"}),
    "mixed lengths": (SEQUENCES, {"architecture": ATTENTION, "mask": MASK}),
    "positions": (
        SEQUENCES[:3, :5],
        {"architecture": {"layers": [{"type": "dense"}]}, "form": "positions"},
    ),
}


@pytest.mark.parametrize("name", JOBS)
async def test_zarr_python_reads_what_the_job_computed(client, port, working, npy, name):
    x, request = JOBS[name]
    async with working():
        job = await post(client, npy, x, **request)
    url = f"http://127.0.0.1:{port}{await opened(client, job)}"
    found = await asyncio.to_thread(read, url)
    assert set(found) == {"nngp", "ntk"}
    for output, values in found.items():
        matrix = np.load(io.BytesIO((await client.get(job["links"][output])).content))
        assert values.dtype == matrix.dtype
        assert np.array_equal(values, matrix)


async def test_evicted_chunks_are_computed_again_or_503_and_never_404(
    client, service, port, working, npy, monkeypatch
):
    async with working():
        job = await post(client, npy, X, outputs=["nngp"])
    path = await opened(client, job)
    matrix = np.load(io.BytesIO((await client.get(job["links"]["nngp"])).content))
    await service.tiles_client.flushall()
    async with working():
        found = await asyncio.to_thread(read, f"http://127.0.0.1:{port}{path}")
    assert np.array_equal(found["nngp"], matrix)
    await service.tiles_client.flushall()
    monkeypatch.setattr("service.routes.zarr.RECOMPUTE_SECONDS", 0.1)
    refused = await client.get(path + "/nngp/c/0/1")
    assert problem(refused, 503)["type"].endswith("recomputing")
    assert int(refused.headers["retry-after"]) >= 1
    for key in ("nngp/c/0/2", "nngp/c/0", "nngp/c/00/0", "ntk/c/0/0", ".zgroup"):
        problem(await client.get(f"{path}/{key}"), 404)
    # What would pass for a chunk of fill values is not said of one of the grid.
    await client.delete(job["links"]["self"])
    problem(await client.get(path + "/nngp/c/0/0"), 410)


async def test_a_token_opens_one_job_for_a_while_and_stays_out_of_the_log(
    client, service, working, npy, caplog
):
    async with working():
        job, other = await post(client, npy, X[:3]), await post(client, npy, X[:4])
    caplog.set_level(logging.INFO, "gramd.access")
    path = await opened(client, job)
    token = path.rpartition("/")[2]
    assert (await client.get(path + "/zarr.json")).json()["node_type"] == "group"
    array = await client.get(path + "/ntk/zarr.json")
    assert array.json()["chunk_grid"]["configuration"]["chunk_shape"] == [3, 3]
    chunk = await client.get(path + "/ntk/c/0/0")
    assert len(chunk.content) == int(chunk.headers["content-length"]) == 36
    tag = {"If-None-Match": chunk.headers["etag"]}
    assert (await client.get(path + "/ntk/c/0/0", headers=tag)).status_code == 304
    escaped = path.replace("/zarr/", "/%7aarr/")
    await client.get(escaped + "/zarr.json")
    assert token not in caplog.text
    assert "/zarr/(token)/zarr.json" in caplog.text
    for wrong in (path.replace(job["id"], other["id"]), path[:-3] + "abc"):
        problem(await client.get(wrong + "/zarr.json"), 410)
    names = [name async for name in service.client.scan_iter("gramd:path_token:*")]
    assert all(token.encode() not in name for name in names)
    assert 0 < await service.client.ttl(names[0]) <= 3600


async def test_only_a_complete_job_is_opened(client):
    job = (await client.post("/v1/kernels", json={"architecture": DENSE, "x1": [[1.0]]})).json()
    pending = await client.post(job["links"]["self"] + "/zarr")
    assert "retry-after" in pending.headers
    problem(pending, 409)
    await client.patch(job["links"]["self"], json={"state": "cancelled"})
    problem(await client.post(job["links"]["self"] + "/zarr"), 409)
    problem(await client.post("/v1/kernels/k0/zarr"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/kernels/{id}/zarr%2F{token}/zarr.json",
        "/v1/kernels/{id}%2Fzarr/{token}/zarr.json",
        "/v1/kernels/{id}//zarr//{token}//zarr.json",
        "/v1/kernels/{id}/zarr/./{token}/zarr.json",
        "/v1/kernels/{id}/zarr%252F{token}/zarr.json",
        "/v1/kernels/{id}/zarr%2F%41{tail}/zarr.json",
        "http://gramd/v1/kernels/{id}/zarr%2f{token}",
    ],
)
async def test_a_token_stays_out_of_the_log_however_its_path_is_written(port, caplog, path):
    caplog.set_level(logging.INFO, "gramd.access")
    token = "A" + "b-_9" * 10 + "xy"
    target = path.format(id="k01a2086bb64936cbcb4be13072d5", token=token, tail=token[1:])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()
    assert "(token)" in caplog.text
    assert token[1:] not in caplog.text
