"""GET /v1/kernels/{id}/architecture and /v1/predictions/{id}/architecture: what network it was."""

import pytest

from kernels.architecture import parse_architecture

from .conftest import DENSE, problem
from .predicting import body

KERNEL = {"architecture": DENSE, "x1": [[1.0, 0.5], [0.0, 2.0]]}
KINDS = [("/v1/kernels", KERNEL), ("/v1/predictions", body())]


@pytest.mark.parametrize(("path", "asked"), KINDS)
async def test_the_network_of_a_job_can_be_read_back_and_asked_for_again(client, path, asked):
    repeated = {"layers": [{"type": "repeat", "times": 2, "layers": DENSE["layers"]}]}
    job = (await client.post(path, json=asked | {"architecture": repeated})).json()
    found = await client.get(job["links"]["architecture"])
    assert found.json() == parse_architecture(repeated).canonical()
    assert found.headers["content-type"] == "application/json"
    assert found.headers["etag"] == f'"{job["architecture"]}"'
    known = {"If-None-Match": found.headers["etag"]}
    assert (await client.get(job["links"]["architecture"], headers=known)).status_code == 304
    again = await client.post(path, json=asked | {"architecture": found.json()})
    assert again.json()["architecture"] == job["architecture"]


@pytest.mark.parametrize(("path", "asked"), KINDS)
async def test_it_goes_with_the_job(client, service, path, asked):
    first, second = [(await client.post(path, json=asked)).json() for _ in range(2)]
    await client.delete(first["links"]["self"])
    problem(await client.get(first["links"]["architecture"]), 404)
    assert (await client.get(second["links"]["architecture"])).json() == (
        parse_architecture(DENSE).canonical()
    )
    await client.patch(second["links"]["self"], json={"state": "cancelled"})
    assert (await client.get(second["links"]["architecture"])).status_code == 200
    await service.client.hset(f"gramd:job:default:{second['id']}", "expires_at", "1.0")
    gone = problem(await client.get(second["links"]["architecture"]), 410)
    assert "the same request computes it again" in gone["detail"]
    await client.delete(second["links"]["self"])
    left = [name async for name in service.client.scan_iter(f"*{first['architecture']}*")]
    assert left == []


async def test_nobody_elses_and_nothing_unknown(client):
    for collection in ("kernels", "predictions"):
        letter = collection[0]
        problem(await client.get(f"/v1/{collection}/{letter}0123/architecture"), 404)
        problem(await client.get(f"/v1/{collection}/x/architecture"), 404)
