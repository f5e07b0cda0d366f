"""Diagnostics and previews over HTTP."""

from typing import Any

import numpy as np

from kernels.matrix import kernel_matrix
from service.answers import examinations
from service.answers.answers import Answers
from service.errors import UnknownJob
from service.queue.tasks import read_flight
from service.store import keys

from .conftest import ATTENTION, DENSE, problem

WAIT = {"Prefer": "wait=60"}
PNG = b"\x89PNG\r\n\x1a\n"


async def job(client: Any, headers: dict[str, str] = WAIT, **body: Any) -> dict[str, Any]:
    rows = np.random.default_rng(0).standard_normal((12, 3)).tolist()
    request = {"architecture": DENSE, "x1": rows} | body
    record = (await client.post("/v1/kernels", json=request, headers=headers)).json()
    assert record["state"] in ("succeeded", "queued"), record
    return record


async def test_diagnostics_say_what_numpy_says(client, working):
    async with working():
        record = await job(client)
        path = f"{record['links']['self']}/diagnostics"
        found = (await client.get(path, headers=WAIT)).json()
    # Made once; no worker is needed any more.
    assert (await client.get(path)).json() == found
    rows = np.random.default_rng(0).standard_normal((12, 3))
    expected = kernel_matrix(DENSE, rows)["ntk"].astype(np.float64)
    values = np.linalg.eigvalsh(expected)
    ntk = found["results"]["ntk"]
    assert (found["kernel"], found["square"]) == (record["id"], True)
    np.testing.assert_allclose(ntk["largest_eigenvalue"], values[-1], rtol=1e-9)
    np.testing.assert_allclose(ntk["smallest_eigenvalue"], values[0], rtol=1e-6)
    np.testing.assert_allclose(ntk["condition_number"], values[-1] / values[0], rtol=1e-6)
    np.testing.assert_allclose(ntk["mean_diagonal"], np.diagonal(expected).mean(), rtol=1e-9)
    assert ntk["asymmetry"] == ntk["suggested_jitter"] == 0
    spot = ntk["spot_check"]
    assert spot["entries"] == 9
    # Float32 is not float64, and not far from it.
    assert 0 < spot["largest_relative_error"] < 1e-5


async def test_a_job_of_two_sides_says_what_applies(client, working):
    sequences = np.random.default_rng(1).standard_normal((5, 4, 3))
    other = sequences[:3, ::-1] + 1
    async with working():
        record = await job(client, architecture=ATTENTION, x1=sequences.tolist(), x2=other.tolist())
        found = (await client.get(f"{record['links']['self']}/diagnostics", headers=WAIT)).json()
        picture = await client.get(f"{record['links']['self']}/preview.png", headers=WAIT)
    assert found["square"] is False
    assert found["results"]["nngp"]["condition_number"] is None
    assert 0 <= found["results"]["nngp"]["spot_check"]["largest_relative_error"] < 1e-5
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(PNG)


async def test_a_preview_is_drawn_once_and_again_when_it_was_evicted(client, working, service):
    async with working():
        record = await job(client, dtype="float64", outputs=["ntk"])
        path = f"{record['links']['self']}/preview.png"
        first = await client.get(path, headers=WAIT)
        assert first.status_code == 200, first.text
        await service.tiles_client.flushall()
        second = await client.get(path, headers=WAIT)
        diagnosed = await client.get(f"{record['links']['self']}/diagnostics", headers=WAIT)
    assert first.content == second.content
    # The matrix is float64 already.
    assert diagnosed.json()["results"]["ntk"]["spot_check"] is None


async def test_what_cannot_be_examined_is_refused_or_answered_later(client, working, service):
    waiting = await job(client, {})
    for name in ("diagnostics", "preview.png"):
        document = await client.get(f"{waiting['links']['self']}/{name}")
        assert int(document.headers["retry-after"]) >= 1
        assert "ask again" in problem(document, 409)["detail"]
    async with working():
        diagonal = await job(client, form="diagonal")
        record = (await client.get(waiting["links"]["self"], headers=WAIT)).json()
    refused = problem(await client.get(f"{diagonal['links']['self']}/preview.png"), 422)
    assert "only matrices" in refused["detail"]
    # Nobody is at work: it is begun, and told to come again.
    path = f"{record['links']['self']}/diagnostics"
    later = await client.get(path, headers={"Prefer": "wait=0"})
    assert "being made" in problem(later, 409)["detail"]
    async with working():
        assert (await client.get(path, headers=WAIT)).status_code == 200
    object.__setattr__(service.settings, "max_prediction_rows", 10)
    too_large = problem(await client.get(path), 413)
    assert (too_large["limit"], too_large["actual"]) == (10, 12)
    await client.delete(record["links"]["self"])
    problem(await client.get(path), 404)


async def test_those_who_ask_first_at_once_have_one_made(client, working, service, monkeypatch):
    """The second finds nothing, and before it goes on the first has begun."""
    async with working():
        record = await job(client)
    path, read = f"{record['links']['self']}/diagnostics", Answers.fields
    begun: dict[str, Any] = {}

    async def too_early(self: Answers, ref: str) -> dict[str, Any]:
        if not begun:
            monkeypatch.setattr(Answers, "fields", read)
            problem(await client.get(path, headers={"Prefer": "wait=0"}), 409)
            begun.update(await read(self, ref))
            raise UnknownJob(ref)
        return await read(self, ref)

    monkeypatch.setattr(Answers, "fields", too_early)
    problem(await client.get(path, headers={"Prefer": "wait=0"}), 409)
    ref = keys.ref("default", keys.DIAGNOSTICS + record["id"])
    assert await service.predictions._answers.fields(ref) == begun


async def test_one_that_failed_is_made_again_a_while_later(client, working, service, monkeypatch):
    async with working():
        record = await job(client)
    path = f"{record['links']['self']}/diagnostics"
    problem(await client.get(path, headers={"Prefer": "wait=0"}), 409)
    [flight] = await service.client.hvals(keys.INFLIGHT)
    reason = {"type": "urn:gramd:problem:tile-failed", "detail": "the worker was too small"}
    assert len(await service.dispatch.fail(read_flight(flight), reason)) == 1
    async with working():
        # Not by everyone who looks.
        for _ in range(2):
            document = problem(await client.get(path, headers=WAIT), 409)
            assert "the worker was too small" in document["detail"]
        monkeypatch.setattr(examinations, "AGAIN_S", 0.0)
        assert (await client.get(path, headers=WAIT)).status_code == 200
