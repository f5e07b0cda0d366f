"""ETag, 304 and byte ranges: what a client has is not sent again, what is missing is sent alone."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.results.content import Content

from .conftest import DENSE, problem

WAIT = {"Prefer": "wait=60"}
ROWS = 600  # three tiles of a symmetric plan


@pytest.fixture
async def job(client, working, npy) -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal((ROWS, 2)).astype("float32")
    form = {"request": json.dumps({"architecture": DENSE, "outputs": ["nngp"]})}
    async with working():
        response = await client.post("/v1/kernels", data=form, files={"x1": npy(x)}, headers=WAIT)
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


async def test_what_the_client_has_is_not_sent_again(client, service, job):
    url = job["links"]["nngp"]
    first = await client.get(url)
    tag = first.headers["etag"]
    for header in (tag, f'"other", W/{tag}', "*"):
        again = await client.get(url, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
    others = [
        await client.head(url, params={"rows": "0:5"}),
        await client.head(url, params={"dtype": "f8"}),
        await client.head(url, headers={"Accept": "application/json"}),
    ]
    assert len({tag, *(other.headers["etag"] for other in others)}) == 4
    # Nothing is computed again for one who has it.
    await service.tiles_client.flushall()
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304


async def test_what_has_become_something_else_is_refused_under_if_match(client, job):
    url = job["links"]["nngp"]
    tag = (await client.head(url)).headers["etag"]
    for header in (tag, f'"other", {tag}', "*"):
        answer = await client.get(url, headers={"If-Match": header})
        assert (answer.status_code, answer.headers["etag"]) == (200, tag)
    for header in ('"other"', f"W/{tag}", "no tag", ""):
        refused = problem(await client.get(url, headers={"If-Match": header}), 412)
        assert refused["parameter"] == "If-Match"
        assert tag in refused["detail"]
    # It comes before the other conditions, and they before the range.
    both = {"If-Match": '"other"', "If-None-Match": tag, "Range": "bytes=999999999-"}
    problem(await client.get(url, headers=both), 412)
    assert (await client.get(url, headers=both | {"If-Match": tag})).status_code == 304
    part = {"If-Match": tag, "If-Range": tag, "Range": "bytes=0-5"}
    assert (await client.get(url, headers=part)).status_code == 206
    problem(await client.get(job["links"]["self"], headers={"If-Match": '"other"'}), 412)


async def test_a_job_is_304_until_it_changes(client):
    job = (await client.post("/v1/kernels", json={"architecture": DENSE, "x1": [[1.0]]})).json()
    url = job["links"]["self"]
    tag = (await client.get(url)).headers["etag"]
    same = await client.get(url, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    await client.patch(url, json={"state": "cancelled"})
    changed = await client.get(url, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["state"]) == (200, "cancelled")
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize("media", ["application/x-npy", "application/octet-stream"])
async def test_a_broken_download_is_finished_by_ranges(client, job, media):
    url, accept = job["links"]["nngp"], {"Accept": media}
    whole = await client.get(url, headers=accept)
    assert whole.headers["accept-ranges"] == "bytes"
    length = len(whole.content)
    cuts = [0, 50, 128, 1000, 2400 * 511 + 129, 2400 * 513, length]
    parts = b""
    for first, stop in pairwise(cuts):
        asked = {"Range": f"bytes={first}-{stop - 1}", "If-Range": whole.headers["etag"]}
        part = await client.get(url, headers=accept | asked)
        assert part.status_code == 206, part.text
        assert part.headers["content-range"] == f"bytes {first}-{stop - 1}/{length}"
        assert int(part.headers["content-length"]) == len(part.content) == stop - first
        parts += part.content
    assert parts == whole.content
    for text, expected in (
        ("bytes=-100", whole.content[-100:]),
        (f"bytes={length - 7}-", whole.content[-7:]),
        (f"bytes={length - 7}-{10**12}", whole.content[-7:]),
    ):
        assert (await client.get(url, headers=accept | {"Range": text})).content == expected
    for odd in ("bytes=0-1,5-6", "rows=0-1", "bytes=5-2", "bytes=-"):
        response = await client.get(url, headers=accept | {"Range": odd})
        assert (response.status_code, response.content) == (200, whole.content)
    stale = await client.get(url, headers=accept | {"Range": "bytes=0-1", "If-Range": '"old"'})
    assert stale.status_code == 200
    for behind in (f"bytes={length}-", "bytes=-0"):
        refused = await client.get(url, headers=accept | {"Range": behind})
        assert problem(refused, 416)["parameter"] == "Range"
        assert refused.headers["content-range"] == f"bytes */{length}"
    head = await client.head(url, headers=accept | {"Range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(length))


async def test_a_range_needs_the_rows_that_it_touches_alone(client, service, job):
    """Of 600 rows the first 512 need two tiles of three, one of them for the last columns."""
    url = job["links"]["nngp"]
    whole = (await client.get(url)).content
    layout = await service.jobs.layout(await service.jobs.get("default", job["id"]))
    corner = max(range(len(layout.digests)), key=lambda tile: layout.plan.tiles[tile].row)
    await service.client.srem(f"gramd:job:default:{job['id']}:done", corner)
    await service.client.hset(f"gramd:job:default:{job['id']}", "state", '"running"')
    early = {"Range": f"bytes=0-{128 + 2400 * 512 - 1}"}
    assert (await client.get(url, headers=early)).content == whole[: 128 + 2400 * 512]
    pending = await client.get(url, headers={"Range": f"bytes=0-{128 + 2400 * 512}"})
    assert int(pending.headers["retry-after"]) >= 1
    problem(pending, 409)
    assert (await client.get(url, headers={"Range": "bytes=0-127"})).content == whole[:128]


@given(data=st.data())
async def test_any_range_of_any_content_is_that_of_its_bytes(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    media = data.draw(st.sampled_from(["application/x-npy", "application/octet-stream"]))
    content = Content(media, shape, np.dtype("<f4"))
    values = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    whole = content.header + values.tobytes()
    assert content.length == len(whole)
    first = data.draw(st.integers(0, len(whole) - 1))
    asked = range(first, data.draw(st.integers(first + 1, len(whole))))
    rows = content.rows(asked, range(shape[0]))
    size = data.draw(st.integers(1, 5))

    async def runs():
        for start in range(rows.start, rows.stop, size):
            yield np.ascontiguousarray(values[start : min(start + size, rows.stop)])

    found = b"".join([bytes(piece) async for piece in content.cut(runs(), asked)])
    assert found == whole[asked.start : asked.stop]
