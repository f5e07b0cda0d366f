"""GET /metrics: what has been done, by whom it may be read, and that the docs know every name."""

import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as RedisConnectionError

from service.state import Service

from .conftest import DENSE, problem

BODY = {"architecture": DENSE, "x1": [[1.0, 2.0]]}


async def samples(client: httpx.AsyncClient, **headers: str) -> dict[str, float]:
    """Every sample by name and labels, in Prometheus's notation."""
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_jobs_tiles_queue_and_workers_are_counted(
    client: httpx.AsyncClient, service: Service, working: Any
) -> None:
    waiting = (await client.post("/v1/kernels", json=BODY)).json()
    before = await samples(client)
    assert before['gramd_jobs{state="queued"}'] == before["gramd_tiles_in_flight"] == 1
    assert "gramd_workers" not in before
    async with working():
        await client.get(waiting["links"]["self"], headers={"Prefer": "wait=60"})
        await client.post("/v1/kernels", json=BODY, headers={"Prefer": "wait=60"})
        after = await samples(client)
    assert after['gramd_workers{device="cpu"}'] == after['gramd_worker_slots{device="cpu"}'] == 1
    assert after["gramd_jobs_created_total"] == 2
    assert after['gramd_jobs_ended_total{state="succeeded"}'] == 2
    assert after['gramd_jobs{state="queued"}'] == after['gramd_jobs{state="running"}'] == 0
    assert after['gramd_tiles_total{outcome="computed"}'] == 1
    assert after['gramd_tiles_total{outcome="reused"}'] == 1
    assert after["gramd_tile_seconds_count"] == after['gramd_tile_seconds_bucket{le="+Inf"}'] == 1
    assert after["gramd_tile_seconds_sum"] > 0
    assert after["gramd_queue_tiles"] == after["gramd_tiles_in_flight"] == 0
    for store in ("queue", "tiles"):
        assert after[f'gramd_store_up{{store="{store}"}}'] == 1
        assert after[f'gramd_store_memory_bytes{{store="{store}"}}'] > 0
    assert after['gramd_store_memory_limit_bytes{store="tiles"}'] == 64 << 20
    assert after['gramd_store_evictions_total{store="tiles"}'] == 0
    cancelled = (await client.post("/v1/kernels", json=BODY | {"dtype": "float64"})).json()
    await client.patch(cancelled["links"]["self"], json={"state": "cancelled"})
    assert (await samples(client))['gramd_jobs_ended_total{state="cancelled"}'] == 1


async def test_requests_are_counted_by_the_template_of_their_route(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/v1/kernels/k1", "/v1/kernels/k2", "/v1/kernels", "/nowhere", "/v1/limits"):
        await client.get(path)
    await client.post("/v1/kernels", content=b"{")
    await client.head("/healthz")
    found = await samples(client)
    wanted = {
        ("GET", "/v1/kernels/{job_id}", 404): 2,
        ("GET", "/v1/kernels", 200): 1,
        ("POST", "/v1/kernels", 415): 1,
        ("GET", "none", 404): 1,
        ("GET", "/v1/limits", 200): 1,
        ("HEAD", "/healthz", 200): 1,
    }
    for (method, route, status), count in wanted.items():
        labels = f'method="{method}",route="{route}"'
        assert found[f'gramd_http_requests_total{{{labels},status="{status}"}}'] == count, route
        assert found[f"gramd_http_request_seconds_count{{{labels}}}"] == count
    assert found["gramd_http_requests_open"] == 1
    assert found["process_resident_memory_bytes"] > 0


async def test_methods_that_a_client_makes_up_are_one_series(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gramd.access")
    for number in range(20):
        await client.request(f"M{number:04}" + "X" * 1000, "/healthz")
    assert "X" * 20 not in caplog.text
    assert "M0019XXXX" in caplog.text
    found = await samples(client)
    ours = {name: count for name, count in found.items() if "gramd_http_requests_total" in name}
    assert ours == {'gramd_http_requests_total{method="other",route="/healthz",status="405"}': 20}


async def test_with_keys_only_one_for_metrics_reads_them(
    client: httpx.AsyncClient, service: Service
) -> None:
    tenants, _ = await service.api_keys.create()
    problem(await client.get("/metrics"), 401)
    refused = await client.get("/metrics", headers={"Authorization": f"Bearer {tenants}"})
    problem(refused, 403)
    reader, _ = await service.api_keys.create(scope="metrics")
    assert "gramd_jobs_created_total" in await samples(client, Authorization=f"Bearer {reader}")


async def test_a_store_that_is_away_is_said(
    client: httpx.AsyncClient, service: Service, monkeypatch: Any
) -> None:
    async def away(*arguments: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(service.tiles_client, "info", away)
    found = await samples(client)
    assert found['gramd_store_up{store="tiles"}'] == 0
    assert found['gramd_store_up{store="queue"}'] == 1


async def test_every_metric_is_in_the_operations_page_and_none_that_is_gone(
    client: httpx.AsyncClient, root: Path
) -> None:
    text = (await client.get("/metrics")).text
    exposed = set(re.findall(r"^# HELP (\w+)", text, re.MULTILINE))
    page = (root / "docs" / "operations.md").read_text()
    stated = set(re.findall(r"`((?:gramd|process)_\w+)", page))
    assert exposed == stated
