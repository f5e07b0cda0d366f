"""Predictions over HTTP: the same numbers as scikit-learn on the kernels that were fetched."""

import io
import json
from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge

from kernels.matrix import kernel_matrix
from service.store import keys
from tests.kernels.predict.matrices import Precomputed

from .conftest import DENSE, problem

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


async def test_gaussian_process_regression_as_scikit_learn_has_it(client, working):
    async with working():
        record = await predicted(client, body(outputs=["mean", "variance", "covariance"]))
        assert set(record["kernels"]) == {"train", "cross", "test"}
        assert {kernel["state"] for kernel in record["kernels"].values()} == {"succeeded"}
        found = {name: await fetched(client, record, name) for name in record["outputs"]}
    nngp, _ = kernels()
    rows = np.arange(N + M)[:, None]
    theirs = GaussianProcessRegressor(Precomputed(nngp), alpha=0.05, optimizer=None)
    mean, covariance = theirs.fit(rows[:N], data()[1]).predict(rows[N:], return_cov=True)
    np.testing.assert_allclose(found["mean"], mean, atol=1e-8)
    np.testing.assert_allclose(found["covariance"], covariance, atol=1e-8)
    np.testing.assert_allclose(found["variance"], np.diagonal(covariance), atol=1e-8)
    receipt = record["receipt"]
    assert receipt["log_marginal_likelihood"] == pytest.approx(
        theirs.log_marginal_likelihood_value_, abs=1e-8
    )
    assert (receipt["jitter"], receipt["diag_reg"]["value"]) == (0, 0.05)
    assert receipt["factorisation"] == {"type": "cholesky", "reused": False}
    assert {"x_train", "y_train", "x_test"} == set(receipt["inputs"])
