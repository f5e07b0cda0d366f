"""A dataset uploaded in parts is the dataset that the same array makes when it is uploaded whole."""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from redis.exceptions import OutOfMemoryError

from .conftest import problem

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 4, 3)).astype("float32")
MASK = np.arange(4) < np.array([4, 2, 3, 1, 4, 4, 2])[:, None]


def digest(content: bytes) -> dict[str, str]:
    value = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"Content-Digest": f"sha-256=:{value}:"}


def request_of(x: bytes, mask: bytes | None) -> httpx.Request:
    """A part as a client sends it: the array alone, or a form with its mask."""
    if mask is None:
        return httpx.Request("PUT", "http://gramd", content=x)
    return httpx.Request("PUT", "http://gramd", files={"x": x, "mask": mask})


Put = Callable[..., Any]


@pytest.fixture
def put(client: httpx.AsyncClient, npy: Callable[[Any], bytes]) -> Put:
    """PUT one part with its digest; the response."""

    async def send(path: str, x: Any, mask: Any = None, **headers: str) -> httpx.Response:
        built = request_of(npy(x), None if mask is None else npy(mask))
        content = built.read()
        given = {"Content-Type": built.headers.get("content-type", "application/x-npy")}
        return await client.put(path, content=content, headers=given | digest(content) | headers)

    return send


async def opened(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/datasets", json={"shape": [7, 4, 3], "part_rows": 3} | body)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == response.json()["links"]["self"]
    return response.json()


async def seal(client: httpx.AsyncClient, dataset: dict[str, Any]) -> httpx.Response:
    return await client.patch(dataset["links"]["self"], json={"state": "sealed"})


@pytest.mark.parametrize("mask", [None, MASK, np.ones((7, 4), bool)])
@pytest.mark.parametrize("whole_first", [True, False])
async def test_parts_in_any_order_make_the_dataset_of_the_whole(
    client, service, put, npy, mask, whole_first
):
    files = {"x": npy(X)} | ({} if mask is None else {"mask": npy(mask)})

    async def upload_whole() -> dict[str, Any]:
        return (await client.post("/v1/datasets", files=files)).json()

    whole = await upload_whole() if whole_first else None
    dataset = await opened(client, masked=mask is not None)
    assert (dataset["parts"], dataset["received"], dataset["state"]) == (3, [], "open")
    for part in (2, 0, 0, 1):
        early = problem(await seal(client, dataset), 409)
        assert part in early["missing"] or part == 0
        rows = slice(3 * part, 3 * part + 3)
        sent = await put(
            f"{dataset['links']['parts']}/{part}", X[rows], None if mask is None else mask[rows]
        )
        assert sent.status_code == 204, sent.text
    seen = (await client.get(dataset["links"]["self"])).json()
    assert seen["received"] == [0, 1, 2]
    kept = X if mask is None else np.where(mask[..., None], X, 0)
    for digest, start in zip(seen["digests"], (0, 3, 6), strict=True):
        content = kept[start : start + 3].astype(seen["dtype"]).tobytes()
        if mask is not None and not mask[start : start + 3].all():
            content += np.packbits(mask[start : start + 3]).tobytes()
        assert digest == hashlib.sha256(content).hexdigest()
    sealed = (await seal(client, dataset)).json()
    assert sealed["state"] == "sealed"
    # Again, and by its old name.
    assert (await seal(client, dataset)).json()["id"] == sealed["id"]
    assert (await client.get(dataset["links"]["self"])).json()["id"] == sealed["id"]
    problem(await put(f"{dataset['links']['parts']}/0", X[:3]), 409)
    whole = whole or await upload_whole()
    assert {n: whole[n] for n in ("id", "digest", "bytes", "shape", "dtype", "masked")} == {
        n: sealed[n] for n in ("id", "digest", "bytes", "shape", "dtype", "masked")
    }
    x, found = await service.datasets.load("default", sealed["id"])
    np.testing.assert_array_equal(x, kept)
    assert (found is None) == (mask is None or bool(mask.all()))
    if found is not None:
        np.testing.assert_array_equal(found, mask)
    # The dataset, and for a day where the upload led to.
    assert await service.client.zcard("gramd:held:default") == 2
    assert [name async for name in service.client.scan_iter("gramd:*:mask:*")] == []
    await client.delete(f"/v1/datasets/{sealed['id']}")
    left = {name.split(b":")[1] async for name in service.client.scan_iter("gramd:*")}
    # An upload whose pieces were not needed led to what was there before.
    elsewhere = {b"upload", b"held", b"books"} if whole_first else set()
    assert left - {b"secret", b"bucket"} == elsewhere
    problem(await client.get(dataset["links"]["self"]), 404)


async def test_a_damaged_part_is_not_stored(client, put, npy):
    dataset = await opened(client)
    path = f"{dataset['links']['parts']}/0"
    refused = problem(await put(path, X[:3], **digest(b"other")), 422)
    assert refused["parameter"] == "Content-Digest"
    missing = await client.put(path, content=npy(X[:3]))
    assert problem(missing, 422)["parameter"] == "Content-Digest"
    odd = await client.put(path, content=npy(X[:3]), headers={"Content-Digest": "sha-256=abc"})
    problem(odd, 400)
    assert (await client.get(dataset["links"]["self"])).json()["received"] == []
    whole = await client.post("/v1/datasets", content=npy(X), headers=digest(b"other"))
    assert problem(whole, 422)["parameter"] == "Content-Digest"


async def test_parts_that_do_not_fit_are_refused(client, put):
    dataset = await opened(client)
    path = dataset["links"]["parts"]
    assert "[3, 4, 3]" in problem(await put(f"{path}/0", X[:2]), 422)["detail"]
    assert "[1, 4, 3]" in problem(await put(f"{path}/2", X[:3]), 422)["detail"]
    assert "float64" in problem(await put(f"{path}/0", X[:3].astype("float64")), 422)["detail"]
    assert problem(await put(f"{path}/0", X[:3], MASK[:3]), 422)["pointer"] == "/mask"
    spoilt = X[:3].copy()
    spoilt[1, 1, 1] = np.nan
    problem(await put(f"{path}/0", spoilt), 422)
    problem(await put(f"{path}/3", X[:3]), 404)
    problem(await put(f"{path}/-1", X[:3]), 404)
    problem(await put("/v1/datasets/unknown/parts/0", X[:3]), 404)
    assert (await client.get(dataset["links"]["self"])).json()["received"] == []
    used = {"architecture": {"layers": [{"type": "dense"}]}, "x1": {"dataset": dataset["id"]}}
    assert "open" in problem(await client.post("/v1/kernels", json=used), 422)["detail"]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"shape": [10**9, 10**6]}, "max_input_bytes"),
        ({"shape": [10**5, 1000], "part_rows": 10**5}, "max_part_bytes"),
        ({"shape": [10**5, 10], "part_rows": 1}, "max_parts"),
    ],
)
async def test_limits_are_named_before_anything_is_sent(client, left_behind, body, limit):
    response = await client.post("/v1/datasets", json=body)
    named = problem(response, 507 if limit == "max_input_bytes" else 413)
    assert named["limit_name"] == limit
    assert (await client.get("/v1/limits")).json()["limits"][limit] == named["limit"]
    assert await left_behind() == set()


async def test_an_abandoned_upload_expires_and_frees_its_quota(client, service, put):
    dataset = await opened(client)
    await put(f"{dataset['links']['parts']}/0", X[:3])
    # Whose requests are counted has nothing to do with it.
    others = re.compile(rb"gramd:(secret|bucket):")
    names = [n async for n in service.client.scan_iter("gramd:*") if not others.match(n)]
    ttls = [await service.client.ttl(name) for name in names]
    day = service.settings.upload_ttl.total_seconds()
    assert len(names) == 4
    assert all(day - 60 < ttl <= day + 1 for ttl in ttls), dict(zip(names, ttls, strict=True))
    # What a deletion leaves is what expiry leaves.
    assert (await client.delete(dataset["links"]["self"])).status_code == 204
    problem(await client.get(dataset["links"]["self"]), 404)
    assert [n async for n in service.client.scan_iter("gramd:*") if not others.match(n)] == []


async def test_an_upload_that_is_sealed_while_it_is_deleted_is_a_dataset_that_is_deleted(
    client, service, put, left_behind, monkeypatch
):
    dataset = await opened(client)
    for part in range(3):
        await put(f"{dataset['links']['parts']}/{part}", X[3 * part :][:3])
    read, sealed = service.uploads.get, {}

    async def sealed_behind(tenant: str, upload_id: str) -> Any:
        found = await read(tenant, upload_id)
        monkeypatch.setattr(service.uploads, "get", read)
        sealed.update((await seal(client, dataset)).json())
        return found

    monkeypatch.setattr(service.uploads, "get", sealed_behind)
    assert (await client.delete(dataset["links"]["self"])).status_code == 204
    problem(await client.get(sealed["links"]["self"]), 404)
    assert {name.split(b":")[1] for name in await left_behind()} == {b"secret"}


async def test_a_part_that_finds_no_place_leaves_nothing(
    client, service, put, left_behind, monkeypatch
):
    dataset = await opened(client)
    before = await left_behind()

    async def refuse(**_):
        raise OutOfMemoryError

    # The part itself still fitted; what fills the store is noticed a step later.
    monkeypatch.setattr(service.uploads, "_fill", refuse)
    answer = await put(f"{dataset['links']['parts']}/0", X[:3])
    assert problem(answer, 507)["limit_name"] == "queue_store_bytes"
    assert await left_behind() <= before
