"""The method additive over HTTP: the same bits as in process, and its estimate in the receipt."""

from typing import Any

import httpx
import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from service.http.arrays import read_npy

WAIT = {"Prefer": "wait=60"}
NETWORK = {
    "layers": [
        {"type": "conv", "window": [3], "padding": "valid"},
        {"type": "relu"},
        {"type": "attention", "qk_std": 0.5},
        {"type": "relu"},
        {"type": "global_avg_pool"},
    ]
}
X = np.cumsum(np.random.default_rng(0).standard_normal((5, 12, 3)), axis=1) / 3
MASK = np.arange(12)[None, :] < np.array([12, 9, 7, 11, 5])[:, None]


def body(method: dict[str, Any], network: dict[str, Any] = NETWORK) -> dict[str, Any]:
    return {
        "architecture": network,
        "x1": X.tolist(),
        "mask1": MASK.tolist(),
        "dtype": "float64",
        "method": method,
    }


async def finished(client: httpx.AsyncClient, method: dict[str, Any]) -> dict[str, Any]:
    response = await client.post("/v1/kernels", json=body(method), headers=WAIT)
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


async def test_the_same_bits_and_the_largest_estimate(client, working):
    method = {"type": "additive", "tolerance": 1e-2}
    here = kernel_matrix(NETWORK, X, mask1=MASK, dtype="float64", method=method)
    assert 0 < here.error_estimate["additive"] <= 1e-2
    async with working():
        job = await finished(client, method)
        again = await finished(client, method)
    assert job["exactness"] == "approximate"
    assert job["receipt"]["error_estimate"] == here.error_estimate
    assert again["tiles_reused"] == again["tiles_total"]
    for output in ("nngp", "ntk"):
        response = await client.get(f"/v1/kernels/{job['id']}/{output}")
        stored = read_npy(bytearray(response.content), "")
        np.testing.assert_array_equal(stored, here[output])


async def test_error_bars_of_additive_kernels(client, working):
    request = {
        "architecture": NETWORK,
        "x_train": X[:3].tolist(),
        "mask_train": MASK[:3].tolist(),
        "y_train": [1.0, -1.0, 0.5],
        "x_test": X[3:].tolist(),
        "mask_test": MASK[3:].tolist(),
        "dtype": "float64",
        "outputs": ["mean", "variance"],
        "model": {
            "type": "gaussian_process",
            "diag_reg": {"type": "absolute", "value": 0.1},
            "output_scale": 1,
        },
    }
    found: list[np.ndarray] = []
    async with working():
        for method in ({"type": "exact"}, {"type": "additive", "tolerance": 1e-2}):
            response = await client.post(
                "/v1/predictions", json=request | {"method": method}, headers=WAIT
            )
            assert response.status_code == 200, response.text
            assert response.json()["state"] == "succeeded", response.text
            variance = await client.get(response.json()["links"]["variance"])
            found.append(read_npy(bytearray(variance.content), ""))
    assert (found[0] > 0).all()
    np.testing.assert_allclose(*found, rtol=0.05)


async def test_a_tolerance_is_part_of_what_is_cached(client, working):
    async with working():
        await finished(client, {"type": "additive", "tolerance": 1e-2})
        tight = await finished(client, {"type": "additive", "tolerance": 1e-12})
    assert tight["tiles_reused"] == 0
    assert tight["receipt"]["error_estimate"] == {"additive": 0.0}


@pytest.mark.parametrize(
    ("method", "network", "pointer"),
    [
        ({"type": "additive", "tolerance": 0}, NETWORK, "/method/tolerance"),
        ({"type": "additive", "tolerance": "1e-5"}, NETWORK, "/method/tolerance"),
        ({"type": "additive", "rank": 3}, NETWORK, "/method/rank"),
        ({"type": "additive"}, {"layers": [{"type": "global_avg_pool"}]}, "/method"),
    ],
)
async def test_what_cannot_be_done_is_refused(client, method, network, pointer):
    response = await client.post("/v1/kernels", json=body(method, network))
    assert (response.status_code, response.json()["pointer"]) == (422, pointer)
