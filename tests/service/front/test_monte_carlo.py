"""The method monte_carlo over HTTP: the same job path, the same bits, and an honest error bar."""

import httpx
import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from service.state import Service

from .conftest import ATTENTION, DENSE
from .estimating import RESULTS, WAIT, estimated, results

METHOD = {"type": "monte_carlo", "width": 128, "heads": 8, "samples": 24, "seed": 7}
SMALL = {"type": "monte_carlo", "width": 16, "heads": 1, "samples": 2, "seed": 0}


@pytest.mark.parametrize(
    ("architecture", "shape"), [(DENSE, (4, 3)), (ATTENTION, (4, 5, 3))], ids=["dense", "attention"]
)
async def test_it_is_the_estimate_of_kernel_matrix_and_near_the_exact_kernel(
    client, working, architecture, shape
):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    async with working():
        job = await estimated(client, architecture=architecture, x1=x.tolist(), method=METHOD)
        found = await results(client, job)
    expected = kernel_matrix(architecture, x, method=METHOD)
    exact = kernel_matrix(architecture, x)
    for name in RESULTS:
        assert found[name].tobytes() == expected[name].tobytes()
    for output in ("nngp", "ntk"):
        error = found[f"{output}_stderr"]
        assert (error > 0).all()
        assert (np.abs(found[output] - exact[output]) <= 5 * error).all()


async def test_record_and_receipt_say_how_it_was_computed(client, working):
    x = np.eye(3).tolist()
    async with working():
        job = await estimated(client, architecture=DENSE, x1=x, method=SMALL)
        exact = (
            await client.post("/v1/kernels", json={"architecture": DENSE, "x1": x}, headers=WAIT)
        ).json()
    assert job["results"] == list(RESULTS)
    for document in (job, job["receipt"]):
        assert (document["method"], document["exactness"]) == (SMALL, "estimated")
    for document in (exact, exact["receipt"]):
        assert (document["method"], document["exactness"]) == ({"type": "exact"}, "exact")
    refused = await client.get(f"{exact['links']['self']}/ntk_stderr")
    assert refused.status_code == 404
    assert "closed form" in refused.json()["detail"]


async def test_defaults_are_filled_in_before_anything_is_named(client, working):
    x, small = np.eye(3).tolist(), {"type": "monte_carlo", "width": 16, "samples": 2}
    async with working():
        job = await estimated(client, architecture=DENSE, x1=x, method=small)
        same = await estimated(client, architecture=DENSE, x1=x, method=small | {"seed": 0})
        other = await estimated(client, architecture=DENSE, x1=x, method=small | {"seed": 1})
    assert job["method"] == small | {"heads": 8, "seed": 0}
    assert (same["tiles_reused"], other["tiles_reused"]) == (1, 0)


async def test_one_output_has_one_error(client, working):
    x = np.eye(3).tolist()
    async with working():
        job = await estimated(client, architecture=DENSE, x1=x, outputs=["nngp"], method=SMALL)
    assert job["results"] == ["nngp", "nngp_stderr"]
    for name in ("ntk", "ntk_stderr"):
        refused = await client.get(f"{job['links']['self']}/{name}")
        assert refused.status_code == 404
        assert "ask for ntk" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("method", "pointer"),
    [
        ({"type": "guess"}, "/method"),
        ({}, "/method"),
        ("exact", "/method"),
        ({"type": "exact", "seed": 1}, "/method/seed"),
        ({"type": "monte_carlo", "width": 0}, "/method/width"),
        ({"type": "monte_carlo", "width": 1.5}, "/method/width"),
        ({"type": "monte_carlo", "heads": 10**9}, "/method/heads"),
        ({"type": "monte_carlo", "samples": 1}, "/method/samples"),
        ({"type": "monte_carlo", "seed": -1}, "/method/seed"),
        ({"type": "monte_carlo", "seed": True}, "/method/seed"),
        ({"type": "monte_carlo", "depth": 3}, "/method/depth"),
    ],
)
async def test_a_method_out_of_range_is_pointed_at(client, method, pointer):
    body = {"architecture": DENSE, "x1": [[1.0, 2.0]], "method": method}
    response = await client.post("/v1/kernels", json=body)
    assert response.status_code == 422, response.text
    assert response.json()["pointer"] == pointer


async def test_an_estimate_that_is_too_much_work_is_refused_with_the_limit(
    client: httpx.AsyncClient, service: Service
) -> None:
    method = {"type": "monte_carlo", "width": 4096, "heads": 1024, "samples": 65536}
    body = {"architecture": DENSE, "x1": [[1.0, 2.0]], "method": method}
    response = await client.post("/v1/kernels", json=body)
    assert response.status_code == 413, response.text
    problem = response.json()
    assert problem["limit_name"] == "max_monte_carlo_work"
    limits = (await client.get("/v1/limits")).json()["limits"]
    assert problem["limit"] == limits["max_monte_carlo_work"] < problem["actual"]


async def test_it_estimates_matrices_only(client):
    body = {"architecture": DENSE, "x1": [[1.0, 2.0]], "method": METHOD, "form": "diagonal"}
    response = await client.post("/v1/kernels", json=body)
    assert (response.status_code, response.json()["pointer"]) == (422, "/form")
