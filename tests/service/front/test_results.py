"""Matrices over HTTP: any rectangle, any representation, while the job runs and after tiles are
gone."""

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest

from kernels.inputs import Inputs
from service import routes
from service.jobs import blueprint
from service.results.windows import Window
from service.store import keys

from .conftest import ATTENTION, DENSE, problem

WAIT = {"Prefer": "wait=60"}
ROWS = 600  # two groups of 512 and 88 rows, hence three tiles of a symmetric plan


@pytest.fixture
async def job(client, working, npy) -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal((ROWS, 2)).astype("float32")
    files = {"x1": ("x1.npy", npy(x))}
    form = {"request": json.dumps({"architecture": DENSE})}
    async with working():
        response = await client.post("/v1/kernels", data=form, files=files, headers=WAIT)
    assert response.json()["state"] == "succeeded", response.text
    assert response.json()["tiles_total"] > 1
    return response.json()


async def whole(client, job, output: str = "ntk") -> np.ndarray:
    response = await client.get(job["links"][output])
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


async def test_what_grows_with_a_job_is_done_beside_the_event_loop(client, job, npy, monkeypatch):
    """200,000 tiles take a quarter of a second to look at, in which nobody else would be answered."""
    called = set[str]()

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            called.add(name)
            return original(*given, **named)

        monkeypatch.setattr(owner, name, watched)

    watch(routes.results, "open_window")
    watch(Window, "needed")
    await client.get(job["links"]["ntk"], headers={"Range": "bytes=200-300"})
    assert called == {"open_window", "needed"}

    called.clear()
    watch(Inputs, "digest")
    watch(blueprint, "pending_entries")
    watch(blueprint.Blueprint, "stored")
    form = {"request": json.dumps({"architecture": DENSE})}
    posted = await client.post("/v1/kernels", data=form, files={"x1": npy(np.ones((3, 2)))})
    assert posted.status_code == 202
    assert called == {"digest", "pending_entries", "stored"}


async def test_every_representation_holds_the_same_numbers(client, job):
    matrix = await whole(client, job)
    assert (matrix.shape, matrix.dtype) == ((ROWS, ROWS), np.dtype("<f4"))
    assert np.array_equal(matrix, matrix.T)
    url = job["links"]["ntk"]

    octets = await client.get(url, headers={"Accept": "application/octet-stream"})
    assert octets.content == matrix.tobytes()
    assert octets.headers["x-gramd-shape"] == f"{ROWS},{ROWS}"
    assert octets.headers["x-gramd-dtype"] == "f4"
    assert int(octets.headers["content-length"]) == matrix.nbytes

    text = await client.get(url, headers={"Accept": "application/json"})
    document = text.json()
    assert (document["shape"], document["dtype"]) == ([ROWS, ROWS], "f4")
    assert np.array(document["data"], np.float32).tobytes() == matrix.tobytes()

    wide = await client.get(url, params={"dtype": "f8"})
    assert np.array_equal(np.load(io.BytesIO(wide.content)), matrix.astype("f8"))


@pytest.mark.parametrize(
    ("rows", "cols"),
    [
        ("0:1", "0:1"),
        ("500:530", "505:520"),
        (":3", None),
        (None, "599:"),
        ("511:513", ":"),
        ("590:600", "0:9"),
    ],
)
async def test_rectangles(client, job, rows, cols):
    matrix = await whole(client, job)
    wanted = {name: text for name, text in (("rows", rows), ("cols", cols)) if text}

    def span(text: str | None) -> slice:
        start, _, stop = (text or ":").partition(":")
        return slice(int(start or 0), int(stop or ROWS))

    response = await client.get(job["links"]["ntk"], params=wanted)
    part = np.load(io.BytesIO(response.content))
    assert part.tobytes() == np.ascontiguousarray(matrix[span(rows), span(cols)]).tobytes()


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("rows=5:2", "rows"),
        ("rows=0:601", "rows"),
        ("cols=-1:2", "cols"),
        ("cols=x", "cols"),
        ("dtype=f2", "dtype"),
        ("row=0:1", "row"),
        ("rows=0:1&rows=1:2", "rows"),
    ],
)
async def test_bad_queries_name_their_parameter(client, job, query, parameter):
    response = await client.get(f"{job['links']['ntk']}?{query}")
    assert response.status_code == 422
    assert response.json()["parameter"] == parameter


async def test_head_says_how_large_the_matrix_is(client, job):
    response = await client.head(job["links"]["ntk"])
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == 128 + 4 * ROWS * ROWS


async def test_an_accept_that_cannot_be_met_is_406(client, job):
    response = await client.get(job["links"]["ntk"], headers={"Accept": "text/csv"})
    assert response.status_code == 406
    assert "application/x-npy" in response.json()["detail"]


async def test_finished_rows_can_be_fetched_while_the_rest_is_not(client, service, job, npy):
    # The same rows and more: the first two groups are cached, those of the new rows are not.
    x = np.random.default_rng(0).standard_normal((ROWS, 2)).astype("float32")[:512]
    more = np.concatenate([x, np.ones((512, 2), "float32")])
    files = {"x1": ("x1.npy", npy(more))}
    form = {"request": json.dumps({"architecture": DENSE})}
    response = await client.post("/v1/kernels", data=form, files=files)
    assert response.status_code == 202
    running = response.json()
    assert 0 < running["tiles_done"] < running["tiles_total"]
    url = running["links"]["ntk"]

    part = await client.get(url, params={"rows": "0:512", "cols": "0:512"})
    assert np.array_equal(np.load(io.BytesIO(part.content)), (await whole(client, job))[:512, :512])
    unfinished = await client.get(url, params={"rows": "0:2"})
    assert unfinished.status_code == 409
    assert int(unfinished.headers["retry-after"]) >= 1
    assert unfinished.json()["tiles_missing"] == 1
    assert unfinished.headers["content-type"] == "application/problem+json"


async def test_evicted_tiles_are_computed_again_before_the_first_byte(
    client, service, job, working
):
    matrix = await whole(client, job)
    await service.tiles_client.flushall()
    async with working():
        assert (await whole(client, job)).tobytes() == matrix.tobytes()


async def test_evicted_tiles_that_cannot_be_computed_again_end_the_job(
    client, service, job, working
):
    await service.tiles_client.flushall()
    await service.client.delete(*[name async for name in service.client.scan_iter("gramd:rows:*")])
    async with working():
        # Whoever waits is told to come again, and then how it is.
        problem(await client.get(job["links"]["ntk"]), 503)
        problem(await client.get(job["links"]["ntk"]), 410)
    record = (await client.get(job["links"]["self"])).json()
    assert record["state"] == "expired"
    assert record["error"]["type"].endswith("tile-refused")
    assert await service.client.exists(keys.RING) == 0


async def test_evicted_tiles_that_nobody_computes_are_503(client, service, job, monkeypatch):
    monkeypatch.setattr("service.routes.results.RECOMPUTE_SECONDS", 0.1)
    await service.tiles_client.flushall()
    response = await client.get(job["links"]["ntk"])
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


async def test_inputs_of_mixed_lengths_come_back_in_the_callers_order(client, working):
    """Buckets put inputs of one length together; the matrix must not show it."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((9, 150, 2))
    mask = np.arange(150) < rng.permutation([3, 140, 20, 150, 5, 40, 147, 1, 33])[:, None]
    body = {"architecture": ATTENTION, "x1": x.tolist(), "mask1": mask.tolist()}
    async with working():
        job = (await client.post("/v1/kernels", json=body, headers=WAIT)).json()
        assert job["tiles_total"] > 1
        order = rng.permutation(9)
        shuffled = {
            "architecture": ATTENTION,
            "x1": x[order].tolist(),
            "mask1": mask[order].tolist(),
        }
        other = (await client.post("/v1/kernels", json=shuffled, headers=WAIT)).json()
    matrix, again = await whole(client, job), await whole(client, other)
    np.testing.assert_allclose(again, matrix[np.ix_(order, order)], rtol=1e-5)
