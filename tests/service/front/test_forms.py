"""The forms of a result over HTTP: the diagonal alone, and kernels by position, bit for bit."""

import io
from typing import Any

import httpx
import numpy as np
import pytest

from kernels.inputs import Form
from kernels.matrix import kernel_matrix
from service.results import windows

from .conftest import ATTENTION, DENSE

WAIT = {"Prefer": "wait=60"}
SEQUENCES: dict[str, Any] = {"layers": ATTENTION["layers"][:3]}


def sequences(n: int, seed: int = 0, length: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, length, 3)).astype("float32")


async def done(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/kernels", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


async def check(client: httpx.AsyncClient, url: str, expected: np.ndarray, **query: str) -> None:
    """Every representation of a result holds these very numbers."""
    answer = await client.get(url, params=query)
    assert answer.status_code == 200, answer.text
    found = np.load(io.BytesIO(answer.content))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-gramd-shape"] == ",".join(map(str, expected.shape))
    octets = await client.get(url, params=query, headers={"Accept": "application/octet-stream"})
    assert octets.content == expected.tobytes()
    text = (await client.get(url, params=query, headers={"Accept": "application/json"})).json()
    assert text["shape"] == list(expected.shape)
    assert np.array(text["data"], expected.dtype).tobytes() == expected.tobytes()


@pytest.mark.parametrize("other", [False, True])
async def test_a_diagonal_is_that_of_kernel_matrix(client, working, other):
    x, rng = sequences(70, length=20), np.random.default_rng(1)
    mask = np.arange(20) < rng.integers(1, 21, (70, 1))
    sides: dict[str, Any] = {"x1": x.tolist(), "mask1": mask.tolist()}
    arrays: dict[str, Any] = {"mask1": mask}
    if other:
        sides |= {"x2": x[::-1].tolist()}
        arrays |= {"x2": x[::-1]}
    async with working():
        job = await done(client, architecture=ATTENTION, form="diagonal", **sides)
    assert (job["form"], job["shape"], job["receipt"]["form"]) == ("diagonal", [70], "diagonal")
    expected = kernel_matrix(ATTENTION, x, form="diagonal", **arrays)
    for output in ("nngp", "ntk"):
        await check(client, job["links"][output], expected[output])
    await check(client, job["links"]["ntk"], expected["ntk"][5:41], rows="5:41")
    refused = await client.get(job["links"]["ntk"], params={"cols": "0:1"})
    assert (refused.status_code, refused.json()["parameter"]) == (422, "cols")


@pytest.mark.parametrize("other", [False, True])
async def test_kernels_by_position_are_those_of_kernel_matrix(client, working, other, monkeypatch):
    monkeypatch.setattr(windows, "RUN_BYTES", 300)  # three entries: runs end within rows
    x = sequences(7)
    sides: dict[str, Any] = {"x1": x.tolist()} | ({"x2": x[:4].tolist()} if other else {})
    async with working():
        job = await done(client, architecture=SEQUENCES, form="positions", **sides)
    assert job["shape"] == [7, 4 if other else 7, 5, 5]
    expected = kernel_matrix(SEQUENCES, x, x[:4] if other else None, form="positions")
    for output in ("nngp", "ntk"):
        await check(client, job["links"][output], expected[output])
    part = np.ascontiguousarray(expected["nngp"][2:6, 1:3])
    await check(client, job["links"]["nngp"], part, rows="2:6", cols="1:3")


async def test_forms_of_one_request_share_no_tiles(client, working):
    x = np.eye(3).tolist()
    async with working():
        forms: tuple[Form, ...] = ("matrix", "diagonal")
        jobs = [await done(client, architecture=DENSE, x1=x, form=form) for form in forms]
    assert [job["tiles_reused"] for job in jobs] == [0, 0]
    matrix, diagonal = [
        np.load(io.BytesIO((await client.get(job["links"]["ntk"])).content)) for job in jobs
    ]
    assert np.array_equal(np.diag(matrix), diagonal)


async def test_an_entry_too_large_for_the_store_is_named(client, left_behind):
    x = np.zeros((1, 9000, 1), "int8").tolist()
    body = {"architecture": {"layers": [{"type": "dense"}]}, "x1": x, "form": "positions"}
    response = await client.post("/v1/kernels", json=body)
    assert response.status_code == 413, response.text
    problem = response.json()
    assert (problem["limit_name"], problem["actual"]) == ("max_tile_bytes", 4 * 9000**2)
    assert {name for name in await left_behind() if b"secret" not in name} == set()
