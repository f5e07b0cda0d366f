"""Predictions of sequences of mixed lengths, and of estimated kernels whose parts must agree."""

import io
from typing import Any

import numpy as np

from kernels.matrix import kernel_matrix
from kernels.predict import ridge
from kernels.predict.factor import factorise

from .conftest import ATTENTION, problem

WAIT = {"Prefer": "wait=60"}
ABOVE: dict[str, Any] = {
    "layers": [
        {"type": "dense"},
        {"type": "relu"},
        {"type": "attention", "scaling": "sqrt", "estimator": {"samples": 16, "seed": 2}},
        {"type": "global_avg_pool"},
    ]
}


async def fetched(client: Any, path: str) -> np.ndarray:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)


async def test_rows_of_mixed_lengths_keep_their_order(client, working):
    rng = np.random.default_rng(0)
    n, m, length = 5, 3, 140
    x = rng.standard_normal((n + m, length, 3))
    # Lengths of several buckets, in no order: the worker sees them in groups of one bucket each.
    lengths = [3, 140, 5, 140, 2, 140, 4, 3]
    mask = np.arange(length) < np.array(lengths)[:, None]
    x[~mask] = 0
    y = rng.standard_normal(n)
    request = {
        "architecture": ATTENTION,
        "x_train": x[:n].tolist(),
        "mask_train": mask[:n].tolist(),
        "y_train": y.tolist(),
        "x_test": x[n:].tolist(),
        "mask_test": mask[n:].tolist(),
        "dtype": "float64",
        "model": {"type": "kernel_ridge", "diag_reg": {"type": "absolute", "value": 0.1}},
    }
    async with working():
        response = await client.post("/v1/predictions", json=request, headers=WAIT)
        record = response.json()
        assert (response.status_code, record["state"]) == (200, "succeeded"), record
        mean = await fetched(client, record["links"]["mean"])
    assert record["kernels"]["train"]["tiles_total"] > 1
    ntk = kernel_matrix(ATTENTION, x, mask1=mask, dtype="float64")["ntk"]
    weights = ridge.dual_weights(factorise(ntk[:n, :n], 0.1), y[:, None])
    np.testing.assert_allclose(mean, ridge.predict(ntk[n:, :n], weights)[:, 0], atol=1e-8)


async def test_the_parts_of_an_estimated_gram_matrix_agree(client, working):
    x = np.random.default_rng(0).standard_normal((6, 3, 2))
    request = {
        "architecture": ABOVE,
        "x_train": x.tolist(),
        "y_train": list(range(6)),
        # Training inputs come again: whatever is drawn and chosen must be the same for them.
        "x_test": x[2:5].tolist(),
        "dtype": "float64",
        "outputs": ["mean", "variance"],
    }
    async with working():
        record = (await client.post("/v1/predictions", json=request, headers=WAIT)).json()
        assert record["state"] == "succeeded", record
        train, cross, test = [
            await fetched(client, f"{record['links'][f'kernels.{role}']}/nngp")
            for role in ("train", "cross", "test")
        ]
        np.testing.assert_allclose(cross, train[2:5], rtol=1e-9)
        np.testing.assert_allclose(test, np.diagonal(train)[2:5], rtol=1e-9)
        variance = await fetched(client, record["links"]["variance"])
    assert (variance < 0.01 * test).all()
    # Landmarks lie on the positions of the training inputs.
    longer = np.concatenate([x, x], axis=1)[:2]
    refused = await client.post("/v1/predictions", json=request | {"x_test": longer.tolist()})
    assert problem(refused, 422)["pointer"] in ("/x_train", "/x_test")
