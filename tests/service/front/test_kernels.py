"""From a request to its matrices, over HTTP: the happy paths, in the order in which a user meets
them."""

import io
import json
from typing import Any

import numpy as np
import pytest

from kernels.matrix import kernel_matrix

from .conftest import ATTENTION, DENSE

WAIT = {"Prefer": "wait=60"}


def sequences(n: int, seed: int = 0, length: int = 5, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, length, channels)).astype("float32")


def loaded(response: Any) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)


async def created(client: Any, body: dict[str, Any], **files: Any) -> dict[str, Any]:
    if files:
        response = await client.post(
            "/v1/kernels", data={"request": json.dumps(body)}, files=files, headers=WAIT
        )
    else:
        response = await client.post("/v1/kernels", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    job = response.json()
    assert job["state"] == "succeeded", job
    return job


async def test_inline_lists_give_the_matrix_of_kernel_matrix_bit_for_bit(client, working):
    x = sequences(4)
    async with working():
        job = await created(client, {"architecture": ATTENTION, "x1": x.tolist()})
    expected = kernel_matrix(ATTENTION, x)
    for output in ("nngp", "ntk"):
        response = await client.get(job["links"][output])
        assert response.headers["content-type"] == "application/x-npy"
        assert int(response.headers["content-length"]) == len(response.content)
        matrix = loaded(response)
        assert matrix.dtype == np.float32
        assert matrix.tobytes() == expected[output].tobytes()
    assert job["receipt"]["architecture"] == job["architecture"]


@pytest.mark.parametrize("as_file", [False, True])
async def test_volumes_are_inputs_too(client, working, npy, as_file):
    """(n, D, H, W, C), with a mask, inline and as parts."""
    rng = np.random.default_rng(3)
    x, mask = rng.standard_normal((3, 2, 3, 4, 2)), rng.random((3, 2, 3, 4)) < 0.7
    mask[:, 0, 0, 0] = True
    network = {"layers": [{"type": "conv", "window": [2, 2, 3]}, *ATTENTION["layers"][1:]]}
    body: dict[str, Any] = {"architecture": network, "dtype": "float64"}
    files = {}
    if as_file:
        files = {"x1": ("x.npy", npy(x)), "mask1": ("mask.npy", npy(mask))}
    else:
        body |= {"x1": x.tolist(), "mask1": mask.tolist()}
    async with working():
        job = await created(client, body, **files)
    matrix = loaded(await client.get(job["links"]["ntk"]))
    expected = kernel_matrix(network, x, mask1=mask, dtype="float64")["ntk"]
    assert matrix.tobytes() == expected.tobytes()


@pytest.mark.parametrize("as_file", [False, True])
async def test_one_form_with_npy_parts_does_it_all(client, working, npy, as_file):
    x1, x2 = sequences(3), sequences(2, seed=1)
    mask1 = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
    mask2 = np.ones((2, 5), bool)
    x1[~mask1] = np.nan
    files: dict[str, Any] = {
        "x1": ("x1.npy", npy(x1)),
        "x2": ("x2.npy", npy(x2.astype(">f8"))),
        "mask1": ("mask1.npy", npy(mask1)),
        "mask2": ("mask2.npy", npy(mask2)),
    }
    request = json.dumps({"architecture": ATTENTION, "dtype": "float64", "outputs": ["ntk"]})
    fields = {}
    if as_file:
        files["request"] = ("spec.json", request)
    else:
        fields["request"] = request
    async with working():
        response = await client.post("/v1/kernels", data=fields, files=files, headers=WAIT)
    job = response.json()
    assert response.status_code == 200, job
    assert (job["n1"], job["n2"], job["symmetric"], job["outputs"]) == (3, 2, False, ["ntk"])
    expected = kernel_matrix(
        ATTENTION, x1, x2, mask1=mask1, mask2=mask2, outputs=("ntk",), dtype="float64"
    )
    assert loaded(await client.get(job["links"]["ntk"])).tobytes() == expected["ntk"].tobytes()
    other = await client.get(f"/v1/kernels/{job['id']}/nngp")
    assert other.status_code == 404
    assert "this job computes ntk" in other.json()["detail"]


async def test_datasets_stand_in_for_arrays(client, working, npy):
    x, mask = sequences(4), np.ones((4, 5), bool)
    mask[1, 2:] = False
    x[~mask] = np.inf
    files = {"x": ("x.npy", npy(x)), "mask": ("mask.npy", npy(mask))}
    first = await client.post("/v1/datasets", files=files)
    assert first.status_code == 201, first.text
    dataset = first.json()
    assert first.headers["location"] == dataset["links"]["self"] == f"/v1/datasets/{dataset['id']}"
    assert (dataset["shape"], dataset["masked"]) == ([4, 5, 3], True)
    again = await client.post("/v1/datasets", files=files)
    assert again.json()["id"] == dataset["id"]
    assert (await client.get(dataset["links"]["self"])).json()["digest"] == dataset["digest"]

    async with working():
        body = {"architecture": ATTENTION, "x1": {"dataset": dataset["id"]}}
        job = await created(client, body)
    expected = kernel_matrix(ATTENTION, x, mask1=mask)["nngp"]
    assert loaded(await client.get(job["links"]["nngp"])).tobytes() == expected.tobytes()

    assert (await client.delete(dataset["links"]["self"])).status_code == 204
    assert (await client.get(dataset["links"]["self"])).status_code == 404
    refused = await client.post("/v1/kernels", json=body)
    assert refused.status_code == 422
    assert refused.json()["pointer"] == "/x1/dataset"


@pytest.mark.parametrize("content_type", ["application/x-npy", "application/octet-stream", None])
async def test_a_dataset_is_one_npy_body(client, npy, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    x = np.asfortranarray(np.arange(12, dtype=">i2").reshape(3, 4))
    response = await client.post("/v1/datasets", content=npy(x), headers=headers)
    assert response.status_code == 201, response.text
    assert (response.json()["shape"], response.json()["dtype"]) == ([3, 4], "<f4")


async def test_without_prefer_the_answer_is_202_and_the_job_is_polled(client, working):
    response = await client.post("/v1/kernels", json={"architecture": DENSE, "x1": [[1.0, 2.0]]})
    assert response.status_code == 202
    assert response.headers["retry-after"] == "1"
    location = response.headers["location"]
    job = response.json()
    assert (job["state"], job["tiles_total"], job["tiles_done"]) == ("queued", 1, 0)
    assert job["links"]["self"] == location
    assert "tenant" not in job
    async with working():
        ended = (await client.get(location, headers=WAIT)).json()
    assert (ended["state"], ended["tiles_done"]) == ("succeeded", 1)


async def test_prefer_wait_that_runs_out_answers_202(client):
    response = await client.post(
        "/v1/kernels",
        json={"architecture": DENSE, "x1": [[1.0, 2.0]]},
        headers={"Prefer": "wait=0"},
    )
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=0"


async def test_the_same_request_is_answered_from_the_cache(client, working):
    body = {"architecture": DENSE, "x1": [[1.0, 2.0], [0.5, 1.0]]}
    async with working():
        await created(client, body)
    # No worker is left, and none is needed.
    again = await created(client, body)
    assert (again["tiles_reused"], again["tiles_total"]) == (1, 1)


async def test_jobs_are_listed_page_by_page_newest_first(client):
    ids = []
    for number in range(5):
        body = {"architecture": DENSE, "x1": [[float(number), 1.0]]}
        ids.append((await client.post("/v1/kernels", json=body)).json()["id"])
    first = (await client.get("/v1/kernels", params={"limit": 3})).json()
    second = (await client.get("/v1/kernels", params={"limit": 3, "cursor": first["next"]})).json()
    assert [job["id"] for job in first["kernels"] + second["kernels"]] == ids[::-1]
    assert second["next"] is None


async def test_cancel_and_delete(client):
    body = {"architecture": DENSE, "x1": [[1.0, 2.0]]}
    location = (await client.post("/v1/kernels", json=body)).headers["location"]
    for _ in range(2):
        cancelled = await client.patch(location, json={"state": "cancelled"})
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    missing = await client.get(f"{location}/ntk")
    assert missing.status_code == 409
    assert "retry-after" not in missing.headers
    assert (await client.delete(location)).status_code == 204
    assert (await client.get(location)).status_code == 404
    assert (await client.delete(location)).status_code == 404


async def test_a_job_that_has_succeeded_cannot_be_cancelled(client, working):
    async with working():
        job = await created(client, {"architecture": DENSE, "x1": [[1.0, 2.0]]})
    response = await client.patch(job["links"]["self"], json={"state": "cancelled"})
    assert response.status_code == 409


async def test_architectures_are_described(client):
    body = {"architecture": ATTENTION, "input_shape": [8, 8]}
    answer = (await client.post("/v1/architectures", json=body)).json()
    spelled = {"layers": [{"type": "repeat", "times": 1, "layers": ATTENTION["layers"]}]}
    other = (await client.post("/v1/architectures", json={"architecture": spelled})).json()
    assert answer["digest"] == other["digest"]
    assert answer["description"]["kernel"] == "matrix"
    assert other["description"] is None
    assert answer["warnings"] == []


async def test_warnings_stand_beside_an_architecture_and_in_its_job(client):
    layers = [
        {"type": "attention", "mechanism": {"type": "delta", "beta": 1.0}},
        {"type": "flatten"},
    ]
    architecture = {"layers": layers}
    answer = (await client.post("/v1/architectures", json={"architecture": architecture})).json()
    assert answer["architecture"]["layers"][0]["causal"] is True
    (warning,) = answer["warnings"]
    assert "identity" in warning
    body = {"architecture": architecture, "x1": [[[1.0], [2.0]]]}
    job = (await client.post("/v1/kernels", json=body)).json()
    assert job["warnings"] == [warning]


async def test_layers_limits_and_health(client, working, settings):
    layers = (await client.get("/v1/layers")).json()
    assert {"dense", "attention", "relu"} <= {layer["type"] for layer in layers["layers"]}
    # Layers that hold layers refer to themselves.
    assert all({"type", "$ref"} & set(layer["schema"]) for layer in layers["layers"])
    named = {mechanism["type"] for mechanism in layers["mechanisms"]}
    assert {"softmax", "sparsemax", "l2", "linear", "delta"} <= named
    limits = (await client.get("/v1/limits")).json()["limits"]
    assert limits["max_body_bytes"] == settings.max_body_bytes
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    unready = await client.get("/readyz")
    assert unready.status_code == 503
    assert "worker" in unready.json()["detail"]
    async with working():
        assert (await client.get("/readyz")).json() == {"status": "ready"}
