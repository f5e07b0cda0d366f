"""Request ids, log lines, and answers to failures that no client is to blame for."""

import logging

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from .conftest import DENSE


async def test_a_request_id_is_taken_over_or_made(client):
    given = await client.get("/healthz", headers={"X-Request-Id": "job-17.a"})
    assert given.headers["x-request-id"] == "job-17.a"
    made = await client.get("/healthz")
    assert len(made.headers["x-request-id"]) == 32


async def test_head_is_get_without_its_body(client):
    got, head = await client.get("/v1/limits"), await client.head("/v1/limits")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (await client.head("/nowhere")).status_code == 404


@pytest.mark.parametrize("forged", ["a b", "x" * 200, "é", 'a"b', ""])
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(client, forged):
    response = await client.get("/nowhere", headers={"X-Request-Id": forged.encode("latin-1")})
    assert len(response.headers["x-request-id"]) == 32
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_every_request_has_one_access_line(client, caplog):
    caplog.set_level(logging.INFO, "gramd.access")
    await client.get("/v1/kernels/a%0Ab", headers={"X-Request-Id": "r1"})
    (line,) = [record.msg for record in caplog.records if record.name == "gramd.access"]
    assert line["event"] == "request"
    assert (line["request_id"], line["tenant"]) == ("r1", "default")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/kernels/a%0Ab", 404)
    assert line["ms"] > 0
    caplog.clear()
    await client.get("/healthz")
    (line,) = [record.msg for record in caplog.records if record.name == "gramd.access"]
    assert "tenant" not in line
    assert line["request_id"] != "r1"


async def test_a_workers_lines_lead_back_to_the_request(client, working, caplog):
    caplog.set_level(logging.INFO)
    body = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
    headers = {"X-Request-Id": "r3", "Prefer": "wait=60"}
    async with working():
        job = (await client.post("/v1/kernels", json=body, headers=headers)).json()
    lines = {
        record.msg["event"]: record.msg for record in caplog.records if isinstance(record.msg, dict)
    }
    for event in ("job created", "tile computed", "job succeeded"):
        assert lines[event]["request_id"] == "r3", event
        assert (lines[event]["job"], lines[event]["tenant"]) == (job["id"], "default"), event
    assert len(lines["tile computed"]["tile"]) == 64
    assert lines["tile computed"]["seconds"] > 0


async def test_an_unexpected_error_is_a_500_that_tells_nothing_but_its_id(
    client, service, monkeypatch, caplog
):
    async def broken(*arguments: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(service.jobs), "get", broken)
    response = await client.get("/v1/kernels/k0", headers={"X-Request-Id": "r2"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == response.json()["request_id"] == "r2"
    assert "secret" not in response.text
    assert "'request_id': 'r2'" in caplog.text
    assert "RuntimeError: secret" in caplog.text


async def test_a_store_that_is_away_is_503(client, service, monkeypatch):
    async def away(*arguments: object) -> None:
        raise RedisConnectionError("unix:///secret/path")

    monkeypatch.setattr(type(service.jobs), "get", away)
    response = await client.get("/v1/kernels/k0")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert "secret" not in response.text
