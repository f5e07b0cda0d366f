"""An extended job is the job of all rows at once, of which only the border is computed."""

import io
import json
from typing import Any

import numpy as np
import pytest

from .conftest import ATTENTION, DENSE, problem

WAIT = {"Prefer": "wait=60"}
RNG = np.random.default_rng(0)
FULL = 512  # rows of a group of vectors
X = RNG.standard_normal((FULL + 40, 3)).astype("float32")


async def post(client: Any, path: str, npy: Any, request: Any, **arrays: Any) -> dict[str, Any]:
    response = await client.post(
        path,
        data={"request": json.dumps(request)},
        files={name: npy(array) for name, array in arrays.items()},
        headers=WAIT,
    )
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded"
    return response.json()


async def matrix(client: Any, job: dict[str, Any], output: str = "ntk") -> np.ndarray:
    return np.load(io.BytesIO((await client.get(job["links"][output])).content))


async def test_only_the_border_is_computed(client, working, npy):
    async with working():
        first = await post(client, "/v1/kernels", npy, {"architecture": DENSE}, x1=X[:FULL])
        path = first["links"]["self"] + "/extensions"
        longer = await post(client, path, npy, {}, x1=X[FULL:])
        whole = await post(client, "/v1/kernels", npy, {"architecture": DENSE}, x1=X)
    assert longer["extends"] == first["id"]
    assert longer["shape"] == [FULL + 40, FULL + 40]
    assert longer["receipt"]["tiles"] == {"total": 3, "computed": 2, "reused": 1}
    # The very tiles of the whole.
    assert whole["receipt"]["tiles"] == {"total": 3, "computed": 0, "reused": 3}
    assert whole["receipt"]["inputs"] == longer["receipt"]["inputs"]
    assert np.array_equal(await matrix(client, longer), await matrix(client, whole))
    again = await client.post(
        path, json={"x1": [[1.0, 2.0, 3.0]]}, headers={"Idempotency-Key": "extension"}
    )
    same = await client.post(
        path, json={"x1": [[1.0, 2.0, 3.0]]}, headers={"Idempotency-Key": "extension"}
    )
    assert again.json()["id"] == same.json()["id"]


async def test_masked_sequences_of_both_sides_come_back_as_they_were(client, working, npy):
    """Buckets keep rows cut and in another order; the rows are put together as they came."""
    x = RNG.standard_normal((12, 80, 2)).astype("float32")
    mask = np.arange(80) < RNG.permutation([3, 70, 20, 80, 5, 40, 77, 1, 33, 50, 64, 65])[:, None]
    x2, mask2 = x[::-1][:5] + 1, mask[::-1][:5]
    request = {"architecture": ATTENTION, "dtype": "float64", "outputs": ["nngp"]}
    async with working():
        first = await post(
            client,
            "/v1/kernels",
            npy,
            request,
            x1=x[:9],
            mask1=mask[:9],
            x2=x2[:4],
            mask2=mask2[:4],
        )
        longer = await post(
            client, first["links"]["self"] + "/extensions", npy, {},
            x1=x[9:], mask1=mask[9:], x2=x2[4:], mask2=mask2[4:],
        )  # fmt: skip
        whole = await post(
            client, "/v1/kernels", npy, request, x1=x, mask1=mask, x2=x2, mask2=mask2
        )
        one_side = await post(
            client, first["links"]["self"] + "/extensions", npy, {}, x1=x[9:], mask1=mask[9:]
        )
    assert whole["receipt"]["tiles"]["computed"] == 0
    assert whole["receipt"]["inputs"] == longer["receipt"]["inputs"]
    assert one_side["shape"] == [12, 4]
    found = await matrix(client, longer, "nngp")
    assert np.array_equal(found, await matrix(client, whole, "nngp"))
    np.testing.assert_allclose(await matrix(client, one_side, "nngp"), found[:, :4], rtol=1e-12)


@pytest.mark.slow
async def test_landmarks_stay_those_of_the_first_job(client, service, working, npy):
    """Chosen anew they would change every entry; frozen, the old ones stand."""
    layers = [
        {"type": "dense"}, {"type": "relu"},
        {"type": "attention", "scaling": "sqrt", "estimator": {"samples": 16, "seed": 0}},
        {"type": "global_avg_pool"}, {"type": "dense"},
    ]  # fmt: skip
    x = RNG.standard_normal((70, 4, 2)).astype("float32")
    request = {"architecture": {"layers": layers}, "outputs": ["nngp"]}
    async with working():
        first = await post(client, "/v1/kernels", npy, request, x1=x[:64])
        longer = await post(client, first["links"]["self"] + "/extensions", npy, {}, x1=x[64:])
    layouts = [(await service.records.layout(f"default:{job['id']}"))[0] for job in (first, longer)]
    assert layouts[0]["landmarks"] == layouts[1]["landmarks"] != ""
    assert longer["receipt"]["tiles"]["reused"] > 0
    old, new = await matrix(client, first, "nngp"), await matrix(client, longer, "nngp")
    assert np.array_equal(new[:64, :64], old)


async def test_deleting_a_dataset_deletes_the_tiles_of_extensions_too(
    client, service, working, npy
):
    async with working():
        dataset = (await client.post("/v1/datasets", content=npy(X[:FULL]))).json()
        body = {"architecture": DENSE, "x1": {"dataset": dataset["id"]}}
        first = (await client.post("/v1/kernels", json=body, headers=WAIT)).json()
        await post(client, first["links"]["self"] + "/extensions", npy, {}, x1=X[FULL:])
    assert len([name async for name in service.tiles_client.scan_iter("gramd:tile:*")]) == 3
    await client.delete(dataset["links"]["self"])
    assert [name async for name in service.tiles_client.scan_iter("gramd:tile:*")] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/x1"),
        ({"x1": [[1.0, 2.0]]}, "/x1"),
        ({"x1": [[1.0, 2.0, 3.0]], "x2": [[1.0, 2.0, 3.0]]}, "/x2"),
        ({"x2": [[1.0, 2.0, 3.0]]}, "/x2"),
        ({"mask1": [[True]]}, "/mask1"),
        ({"x1": [[1.0, 2.0, 3.0]], "dtype": "float64"}, "/dtype"),
    ],
)
async def test_what_does_not_fit_is_refused(client, body, pointer):
    job = (
        await client.post("/v1/kernels", json={"architecture": DENSE, "x1": [[1.0, 0.0, 2.0]]})
    ).json()
    path = job["links"]["self"] + "/extensions"
    assert problem(await client.post(path, json=body), 422)["pointer"] == pointer


async def test_what_is_gone_is_said(client, service):
    problem(await client.post("/v1/kernels/k0/extensions", json={"x1": [[1.0]]}), 404)
    job = (
        await client.post("/v1/kernels", json={"architecture": DENSE, "x1": [[1.0, 0.0]]})
    ).json()
    for name in [name async for name in service.client.scan_iter("gramd:rows:*")]:
        await service.client.delete(name)
    path = job["links"]["self"] + "/extensions"
    problem(await client.post(path, json={"x1": [[1.0, 0.0]]}), 410)


async def test_rows_too_many_in_all_are_refused(client, service, npy):
    request = {"architecture": DENSE, "x1": X[:3].tolist()}
    path = (await client.post("/v1/kernels", json=request)).json()["links"]["self"] + "/extensions"
    object.__setattr__(service.settings, "max_rows", 4)
    assert (await client.post(path, json={"x1": X[3:4].tolist()})).status_code == 202
    refused = problem(await client.post(path, json={"x1": X[3:5].tolist()}), 413)
    assert (refused["limit_name"], refused["actual"]) == ("max_rows", 5)
