"""What a job will take is said before it is made, from what such tiles took before."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.jobs import blueprint
from service.jobs.forecasts import beside
from service.queue.pace import Kind, Lognormal
from service.settings import Settings
from service.state import open_service

from .conftest import ATTENTION, DENSE, problem

WAIT = {"Prefer": "wait=60"}
X = np.random.default_rng(0).standard_normal((600, 2)).astype("float32")


def form(npy: Any, architecture: Any = DENSE, x: np.ndarray = X, **more: Any) -> dict[str, Any]:
    request = json.dumps({"architecture": architecture, **more})
    return {"data": {"request": request}, "files": {"x1": npy(x)}}


async def estimate(client: Any, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/estimates", **body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_an_estimate_goes_from_uncalibrated_to_cached(client, service, working, npy):
    new = await estimate(client, **form(npy))
    assert new["tiles"] == {"total": 3, "cached": 0, "to_compute": 3, "share_cached": 0}
    assert (new["uncalibrated"], new["seconds"], new["basis"]) == (True, None, "none")
    assert new["bytes"]["results"] == 2 * 4 * (512**2 + 512 * 88 + 88**2)
    assert new["bytes"]["inputs"] > X.nbytes
    assert (new["admitted"], new["refusal"], new["workers"]) == (True, None, 0)
    # Nothing is stored but the tenant's secret.
    names = {name async for name in service.client.scan_iter("gramd:*")}
    assert names == {b"gramd:secret:default", b"gramd:bucket:default"}
    async with working():
        job = (await client.post("/v1/kernels", **form(npy), headers=WAIT)).json()
        assert job["state"] == "succeeded"
        known = await estimate(client, **form(npy, x=X[::-1]))
        other = await estimate(client, **form(npy, ATTENTION, x=X.reshape(100, 6, 2)))
    assert (known["basis"], known["uncalibrated"], known["workers"]) == ("network", False, 1)
    assert 0 < known["seconds"]["p50"] < known["seconds"]["p90"]
    assert known["compile_seconds"] == 0
    assert other["basis"] == "device"
    assert other["seconds"]["p90"] > other["seconds"]["p50"] > 0
    cached = await estimate(client, **form(npy))
    assert cached["tiles"]["share_cached"] == 1
    longer = await estimate(client, **form(npy, x=np.concatenate([X, -X])))
    assert 0 < longer["tiles"]["cached"] < longer["tiles"]["total"]


async def test_a_cached_job_takes_no_time(client, working, npy):
    async with working():
        await client.post("/v1/kernels", **form(npy), headers=WAIT)
        again = await estimate(client, **form(npy))
    assert again["seconds"] == {"p50": 0, "p90": 0}


async def test_an_estimate_keeps_no_tile_alive(client, service, working, npy):
    async with working():
        await client.post("/v1/kernels", **form(npy), headers=WAIT)
    names = [name async for name in service.tiles_client.scan_iter("gramd:tile:*")]
    assert len(names) == 3
    for name in names:
        await service.tiles_client.expire(name, 50)
    assert (await estimate(client, **form(npy)))["tiles"]["cached"] == 3
    assert all([await service.tiles_client.ttl(name) <= 50 for name in names])
    # A job does.
    await client.post("/v1/kernels", **form(npy))
    assert all([await service.tiles_client.ttl(name) > 50 for name in names])


async def test_an_eta_is_there_before_the_first_tile_is(client, service, working, npy):
    async with working():
        await client.post("/v1/kernels", **form(npy), headers=WAIT)
    queued = (await client.post("/v1/kernels", **form(npy, x=X[::-1]))).json()
    assert queued["state"] == "queued"
    assert queued["eta_s"] >= 0


async def test_jobs_that_take_turns_with_it_are_counted(client, working, npy):
    async with working():
        await client.post("/v1/kernels", **form(npy), headers=WAIT)
    alone = await estimate(client, **form(npy, x=X[::-1]))
    assert alone["seconds"] == alone["seconds_alone"]
    # Nobody works: this one waits to be computed.
    await client.post("/v1/kernels", **form(npy, x=2 * X))
    crowded = await estimate(client, **form(npy, x=X[::-1]))
    assert crowded["seconds_alone"]["p50"] > 0
    assert crowded["seconds"]["p50"] > crowded["seconds_alone"]["p50"]


def test_a_short_job_ends_first_and_a_long_one_after_the_others():
    assert beside([], 2.0) == 2.0
    assert beside([5.0, None], 2.0) == 6.0
    assert beside([0.5, 1.0], 2.0) == 3.5


async def test_what_would_be_refused_is_said_with_its_limit(client, service, npy, monkeypatch):
    await service.tiles_client.config_set("maxmemory", 2_000_000)
    try:
        asked = await estimate(client, **form(npy))
        refused = problem(await client.post("/v1/kernels", **form(npy)), 507)
    finally:
        await service.tiles_client.config_set("maxmemory", 64 << 20)
    assert asked["admitted"] is False
    assert asked["refusal"] == {
        name: refused[name] for name in ("limit_name", "limit", "actual", "detail")
    }
    problem(await client.post("/v1/estimates", json={"architecture": DENSE}), 422)


@pytest.mark.parametrize("path", ["/v1/kernels", "/v1/estimates"])
async def test_rows_too_many_are_refused_before_they_are_looked_at(client, service, npy, path):
    """What the network would say of them comes later."""
    object.__setattr__(service.settings, "max_rows", 99)
    refused = problem(await client.post(path, **form(npy, ATTENTION, x=X[:100])), 413)
    assert [refused[name] for name in ("limit_name", "limit", "actual")] == ["max_rows", 99, 100]


@pytest.mark.parametrize("path", ["/v1/kernels", "/v1/estimates"])
async def test_tiles_too_many_are_refused_before_one_is_named(
    client, service, npy, path, monkeypatch
):
    object.__setattr__(service.settings, "max_tiles", 2)
    monkeypatch.delattr(blueprint, "draw")
    refused = problem(await client.post(path, **form(npy)), 413)
    assert [refused[name] for name in ("limit_name", "limit", "actual")] == ["max_tiles", 2, 3]


async def test_the_input_quota_is_looked_at_and_not_booked(settings: Settings, client, npy):
    async with open_service(replace(settings, max_input_bytes=100)) as small:
        request: Any = await _request(small)
        found = await small.estimates.estimate("default", request)
        assert found.refusal is not None
        assert found.refusal.limit_name == "max_input_bytes"
        assert await small.client.exists("gramd:held:default") == 0


async def _request(service: Any) -> Any:
    from service.requests.kernels import read_kernel_request

    body = {"architecture": DENSE, "x1": X.tolist()}
    return await read_kernel_request(body, {}, "default", service.datasets, service.settings)


@pytest.mark.parametrize("observed", [[2.0] * 40, [1.0, 4.0] * 20])
async def test_a_pace_is_learnt_and_old_ones_are_forgotten(service, observed):
    kind = Kind("cpu", "float32", "exact")

    async def learn(seconds: float) -> None:
        await service.pace.learn(
            "default", "network", kind, cost=0.5, seconds=seconds, compile_seconds=0.0, layers=3,
            shape="s",
        )  # fmt: skip

    for _ in range(5):
        await learn(1000.0)
    for seconds in observed:
        await learn(seconds)
    for _ in range(150):
        for seconds in observed[:2]:
            await learn(seconds)
    known = await service.pace.known("default", "network", [kind])
    assert known.basis == "network"
    assert known.compile is None
    middle = math.exp(np.mean(np.log(observed))) / 0.5
    assert known.pace.quantile(0.0) == pytest.approx(middle, rel=0.1)
    spread = np.std(np.log(observed))
    assert known.pace.deviation == pytest.approx(spread, abs=0.2)
    elsewhere = await service.pace.known("other", "network", [kind])
    assert elsewhere.basis == "device"
    assert await service.pace.known("default", "network", [Kind("tpu", "float32", "exact")]) is None


def test_one_observation_says_nothing_of_the_spread():
    one = Lognormal.of({"pace:n": "1", "pace:sum": "0", "pace:squares": "0"}, "pace")
    assert one is not None
    assert one.quantile(0.0) == 1
    assert one.deviation > 0.4
