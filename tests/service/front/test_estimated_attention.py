"""Attention that is estimated, over HTTP: the same bits, standard errors, landmarks and receipts."""

from typing import Any

import httpx
import numpy as np
import pytest

import kernels.estimate.landmarks as landmarks_module
from kernels.matrix import kernel_matrix
from kernels.plan import tiles as tiles_module
from service.state import Service
from service.store import keys

from .estimating import RESULTS, estimated, results

HEADS: dict[str, Any] = {
    "type": "attention",
    "scaling": "sqrt",
    "estimator": {"samples": 16, "seed": 2},
}
LINEAR = {"layers": [{"type": "dense"}, HEADS, {"type": "global_avg_pool"}]}
ABOVE = {"layers": [{"type": "dense"}, {"type": "relu"}, HEADS, {"type": "global_avg_pool"}]}


@pytest.fixture(autouse=True)
def several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of two inputs, so that heads and landmarks are shared between tiles."""
    monkeypatch.setattr(tiles_module, "_SAMPLED_ROWS", 2)


@pytest.mark.parametrize("architecture", [LINEAR, ABOVE], ids=["linear", "landmarks"])
async def test_it_is_what_kernel_matrix_returns(client, working, architecture):
    x = np.random.default_rng(0).standard_normal((5, 3, 2)).astype("float32")
    async with working():
        job = await estimated(client, architecture=architecture, x1=x.tolist())
        again = await estimated(client, architecture=architecture, x1=x.tolist())
        found = await results(client, job)
    expected = kernel_matrix(architecture, x)
    for name in RESULTS:
        assert found[name].tobytes() == expected[name].tobytes()
    assert job["results"] == list(RESULTS)
    assert job["exactness"] == job["receipt"]["exactness"] == "estimated"
    assert job["method"] == {"type": "exact"}
    assert (job["tiles_total"], again["tiles_reused"]) == (6, 6)
    assert job["receipt"].get("error_estimate", {}) == expected.error_estimate
    assert ("landmarks" in expected.error_estimate) == (architecture is ABOVE)


async def test_landmarks_are_frozen_with_the_job_and_go_with_it(
    client: httpx.AsyncClient,
    service: Service,
    working: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another set of landmarks is another kernel: no tile of one is taken for the other's."""
    monkeypatch.setattr(landmarks_module, "LANDMARK_POSITIONS", 9)
    x = np.random.default_rng(1).standard_normal((6, 3, 2)).astype("float32")
    async with working():
        few = await estimated(client, architecture=ABOVE, x1=x[:4].tolist())
        more = await estimated(client, architecture=ABOVE, x1=x.tolist())
        found = await results(client, more)
    assert more["tiles_reused"] == 0
    (warning,) = more["warnings"]
    assert "3 of the 6 different inputs" in warning
    expected = kernel_matrix(ABOVE, x)
    for name in RESULTS:
        assert found[name].tobytes() == expected[name].tobytes()
    assert more["receipt"]["error_estimate"]["landmarks"] > 1e-3
    for job in (few, more):
        response = await client.delete(job["links"]["self"])
        assert response.status_code == 204
    left = [name async for name in service.client.scan_iter(keys.rows("default", "*"))]
    assert left == []


async def test_heads_that_do_not_fit_are_refused_before_anything_is_stored(client):
    heads = HEADS | {"estimator": {"samples": 65536}}
    body = {
        "architecture": {"layers": [heads, {"type": "flatten"}]},
        "x1": np.ones((1, 64, 2)).tolist(),
    }
    response = await client.post("/v1/kernels", json=body)
    assert response.status_code == 422, response.text
    assert "at most 32768 samples" in response.json()["detail"]
    assert response.json()["pointer"] == "/architecture/layers/0/estimator/samples"
