"""Predictions over HTTP, for the tests of their answers and of their jobs."""

import io
from typing import Any

import numpy as np

from kernels.matrix import kernel_matrix

from .conftest import DENSE

WAIT = {"Prefer": "wait=60"}
N, M = 30, 7


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, x_test = rng.standard_normal((N, 3)), rng.standard_normal((M, 3))
    return x, np.sin(x[:, 0]) + 0.1 * rng.standard_normal(N), x_test


def body(**changes: Any) -> dict[str, Any]:
    x, y, x_test = data()
    fields = {
        "architecture": DENSE,
        "x_train": x.tolist(),
        "y_train": y.tolist(),
        "x_test": x_test.tolist(),
        "dtype": "float64",
        "model": {
            "type": "gaussian_process",
            "diag_reg": {"type": "absolute", "value": 0.05},
        },
    }
    return fields | changes


def kernels() -> tuple[np.ndarray, np.ndarray]:
    x, _, x_test = data()
    found = kernel_matrix(DENSE, np.concatenate([x, x_test]), dtype="float64")
    return found["nngp"], found["ntk"]


async def predicted(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    response = await client.post("/v1/predictions", json=request, headers=WAIT)
    assert response.status_code == 200, response.text
    record = response.json()
    assert record["state"] == "succeeded", record["error"]
    assert record["links"]["self"] == response.headers["location"]
    return record


async def fetched(client: Any, record: dict[str, Any], output: str, query: str = "") -> np.ndarray:
    response = await client.get(record["links"][output] + query)
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)
