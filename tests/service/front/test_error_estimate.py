"""Approximate attention over HTTP: the receipt says how far off it is, cached or not."""

from typing import Any

import httpx
import numpy as np
import pytest

from kernels.matrix import kernel_matrix

WAIT = {"Prefer": "wait=60"}
X = np.random.default_rng(0).standard_normal((4, 20, 3)).astype("float32")


def network(mechanism: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    layer = {"type": "attention", "mechanism": mechanism, **parameters}
    return {"layers": [{"type": "dense"}, {"type": "relu"}, layer, {"type": "global_avg_pool"}]}


async def job_of(client: httpx.AsyncClient, architecture: dict[str, Any]) -> dict[str, Any]:
    body = {"architecture": architecture, "x1": X.tolist()}
    response = await client.post("/v1/kernels", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


@pytest.mark.parametrize(
    "mechanism",
    [{"type": "softmax", "rank": 4}, {"type": "performer", "features": 4, "seed": 3}],
    ids=["low rank", "performer"],
)
async def test_the_receipt_has_the_error_of_kernel_matrix(client, working, mechanism):
    expected = kernel_matrix(network(mechanism), X).error_estimate
    assert expected["mixing"] > 1e-3
    async with working():
        made = await job_of(client, network(mechanism))
        again = await job_of(client, network(mechanism))
    assert (made["exactness"], made["tiles_reused"], again["tiles_reused"]) == ("approximate", 0, 1)
    assert made["receipt"]["error_estimate"] == expected
    assert again["receipt"]["error_estimate"] == expected


async def test_a_tolerance_is_kept_and_exact_networks_say_nothing_of_errors(client, working):
    tolerant = network({"type": "softmax", "rank": 4, "tolerance": 1e-3})
    async with working():
        held = await job_of(client, tolerant)
        exact = await job_of(client, network({"type": "softmax"}))
    assert held["receipt"]["error_estimate"]["mixing"] <= 1e-3
    assert held["receipt"]["exactness"] == "approximate"
    assert "error_estimate" not in exact["receipt"]


async def test_lost_speed_is_a_warning_and_a_causal_rank_is_refused(client, working):
    async with working():
        slow = await job_of(client, network({"type": "performer", "features": 4}, causal=True))
    assert "not of low rank" in slow["warnings"][0]
    architecture = network({"type": "softmax", "rank": 4}, causal=True)
    response = await client.post(
        "/v1/kernels", json={"architecture": architecture, "x1": [[[1.0]]]}
    )
    assert response.status_code == 422
    assert response.json()["pointer"] == "/architecture/layers/2/mechanism/rank"
