"""Predictions over HTTP: the same numbers as scikit-learn on the kernels that were fetched."""

import io
import json
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge

from kernels.matrix import kernel_matrix
from service.answers.kernels import Evicted, KernelValues
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


async def test_kernel_ridge_and_the_factor_that_new_test_inputs_reuse(client, working, service):
    model = {"type": "kernel_ridge", "diag_reg": {"type": "relative", "value": 0.01}}
    _, y, x_test = data()
    targets = np.stack([y, -2 * y], 1)
    async with working():
        record = await predicted(client, body(model=model, y_train=targets.tolist()))
        found = await fetched(client, record, "mean")
        other = body(model=model, x_test=(x_test + 1).tolist(), y_train=targets.tolist())
        again = await predicted(client, other)
        same = await predicted(client, other)
    _, ntk = kernels()
    alpha = 0.01 * np.diagonal(ntk[:N, :N]).mean()
    theirs = KernelRidge(alpha=alpha, kernel="precomputed").fit(ntk[:N, :N], targets)
    np.testing.assert_allclose(found, theirs.predict(ntk[N:, :N]), atol=1e-8)
    assert set(record["kernels"]) == {"train", "cross"}
    assert record["receipt"]["diag_reg"]["relative"] == pytest.approx(0.01)
    assert "log_marginal_likelihood" not in record["receipt"]
    assert not record["receipt"]["factorisation"]["reused"]
    assert again["receipt"]["factorisation"]["reused"]
    assert not again["receipt"]["reused"]
    assert same["receipt"]["reused"]
    assert again["receipt"]["loo"] == record["receipt"]["loo"]
    assert await service.records.unfinished("default") == 0


@pytest.mark.parametrize(("time", "outputs"), [(0.3, "variance"), ("infinity", "covariance")])
async def test_gradient_flow(client, working, time, outputs):
    model = {"type": "gradient_flow", "time": time, "diag_reg": {"type": "absolute", "value": 0.1}}
    async with working():
        record = await predicted(client, body(model=model, outputs=["mean", outputs]))
        mean, spread = [await fetched(client, record, name) for name in ("mean", outputs)]
    nngp, ntk = kernels()
    # By the matrix functions of the definition, and not by eigenvalues.
    t = ntk[:N, :N] + 0.1 * np.eye(N)
    decayed = np.zeros((N, N)) if time == "infinity" else expm(-t * time)
    a = ntk[N:, :N] @ np.linalg.solve(t, np.eye(N) - decayed)
    np.testing.assert_allclose(mean, a @ data()[1], atol=1e-8)
    linear = np.hstack([-a, np.eye(M)])
    covariance = linear @ nngp @ linear.T
    expected = covariance if outputs == "covariance" else np.diagonal(covariance)
    np.testing.assert_allclose(spread, expected, atol=1e-8)
    assert ("loo" in record["receipt"]) == (time == "infinity")


async def test_classification_with_diag_reg_by_leave_one_out(client, working, npy):
    x, y, x_test = data()
    labels = np.where(y > 0.3, 7, np.where(y < -0.3, -2, 3))
    request = {
        "architecture": DENSE,
        "task": "classification",
        "model": {"type": "gaussian_process", "diag_reg": {"type": "loo", "grid": [1e-4, 1e-2, 1]}},
    }
    files = {name: npy(a) for name, a in (("x_train", x), ("y_train", labels), ("x_test", x_test))}
    async with working():
        response = await client.post(
            "/v1/predictions", data={"request": json.dumps(request)}, files=files, headers=WAIT
        )
        record = response.json()
        assert (response.status_code, record["state"]) == (200, "succeeded"), record
        mean, classes = [await fetched(client, record, name) for name in ("mean", "classes")]
        as_json = (
            await client.get(record["links"]["classes"], headers={"Accept": "application/json"})
        ).json()
    assert record["labels"] == [-2, 3, 7]
    assert mean.shape == (M, 3)
    np.testing.assert_allclose(mean.sum(1), 0, atol=1e-9)
    np.testing.assert_array_equal(classes, np.array([-2, 3, 7])[mean.argmax(1)])
    assert as_json == {"shape": [M], "dtype": "i8", "data": classes.tolist()}
    chosen = record["receipt"]["diag_reg"]
    best = chosen["search"]["grid"][int(np.argmin(chosen["search"]["scores"]))]
    assert chosen["relative"] == pytest.approx(best)
    # What the search scored is what the factor that it led to scores.
    assert record["receipt"]["loo"]["mse"] == pytest.approx(min(chosen["search"]["scores"]))


async def test_parts_of_arrays_in_every_representation(client, working):
    async with working():
        record = await predicted(client, body(outputs=["mean", "covariance"]))
        whole = await fetched(client, record, "covariance")
        part = await fetched(client, record, "covariance", "?rows=2:5&cols=:3&dtype=f4")
        raw = await client.get(
            record["links"]["mean"] + "?rows=1:", headers={"Accept": "application/octet-stream"}
        )
        head = await client.head(record["links"]["mean"])
        one_axis = await client.get(record["links"]["mean"] + "?cols=0:1")
        other = await client.get(f"{record['links']['self']}/variance")
    assert part.tobytes() == whole[2:5, :3].astype("<f4").tobytes()
    assert len(raw.content) == int(raw.headers["content-length"]) == 8 * (M - 1)
    assert head.headers["x-gramd-shape"] == f"{M}"
    assert "one axis" in problem(one_axis, 422)["detail"]
    assert "mean, covariance" in problem(other, 404)["detail"]


async def test_what_the_client_has_is_not_sent_again(client, working, service):
    async with working():
        record = await predicted(client, body(outputs=["mean", "covariance"]))
    assert record["results"] == ["mean", "covariance"]
    state = await client.get(record["links"]["self"])
    known = {"If-None-Match": state.headers["etag"]}
    assert (await client.get(record["links"]["self"], headers=known)).status_code == 304
    url = record["links"]["covariance"]
    whole = await client.get(url)
    tag, data = whole.headers["etag"], whole.content
    for start, end in ((0, 40), (100, 203), (len(data) - 9, len(data) - 1)):
        part = await client.get(url, headers={"Range": f"bytes={start}-{end}", "If-Range": tag})
        assert part.status_code == 206
        assert part.content == data[start : end + 1]
        assert part.headers["content-range"] == f"bytes {start}-{end}/{len(data)}"
    problem(await client.get(url, headers={"Range": f"bytes={len(data)}-"}), 416)
    rest = await client.get(url, headers={"Range": "bytes=5-", "If-Range": '"another"'})
    assert (rest.status_code, rest.content) == (200, data)
    others = [
        await client.head(record["links"]["mean"]),
        await client.head(url, params={"rows": "0:5"}),
        await client.head(url, params={"cols": "0:5"}),
        await client.head(url, params={"dtype": "f4"}),
        await client.head(url, headers={"Accept": "application/octet-stream"}),
    ]
    assert len({tag, *(other.headers["etag"] for other in others)}) == 6
    # Nothing is computed again for one who has it.
    await service.tiles_client.flushall()
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304


async def test_datasets_stand_in_and_take_what_was_made_from_them_along(
    client, working, npy, service
):
    x, y, x_test = data()
    ids = {}
    for name, array in (("x_train", x), ("y_train", y[:, None]), ("x_test", x_test)):
        uploaded = await client.post("/v1/datasets", files={"x": npy(array)})
        ids[name] = {"dataset": uploaded.json()["id"]}

    async def stored() -> set[bytes]:
        return {name async for name in service.tiles_client.scan_iter("gramd:tile:*")}

    async with working():
        inline = await fetched(client, await predicted(client, body()), "mean")
        others = await stored()
        record = await predicted(client, body(**ids))
        np.testing.assert_allclose((await fetched(client, record, "mean"))[:, 0], inline)
    assert record["receipt"]["factorisation"]["reused"]
    for given in ids.values():
        assert (await client.delete(f"/v1/datasets/{given['dataset']}")).status_code == 204
    # Kernels and factor are the same content and gone too; the mean that came of inline targets, a
    # name of its own, is not.
    left = await stored()
    assert (len(left), left <= others) == (1, True)


async def test_what_was_evicted_is_made_again(client, working, service):
    async with working():
        record = await predicted(client, body(outputs=["mean", "variance"]))
        before = await fetched(client, record, "variance")
        # The results and all that they were made of.
        await service.tiles_client.flushall()
        after = await fetched(client, record, "variance")
        assert after.tobytes() == before.tobytes()
        # Only the kernels: the next prediction finds its jobs done and their tiles gone.
        names = [name async for name in service.tiles_client.scan_iter("gramd:tile:*")]
        await service.tiles_client.delete(*names)
        await predicted(client, body(outputs=["mean"]))
    assert not await service.client.exists(keys.INFLIGHT, keys.RING, keys.LIVE)


async def test_predictions_are_polled_listed_cancelled_and_deleted(client, service):
    first = await client.post("/v1/predictions", json=body())
    assert first.status_code == 202
    location = first.headers["location"]
    assert (first.json()["state"], first.headers["retry-after"]) == ("queued", "1")
    assert problem(await client.get(f"{location}/mean"), 409)["state"] == "queued"
    second = (await client.post("/v1/predictions", json=body())).json()
    page = (await client.get("/v1/predictions", params={"limit": 1})).json()
    assert [item["id"] for item in page["predictions"]] == [second["id"]]
    rest = (await client.get("/v1/predictions", params={"cursor": page["next"]})).json()
    assert [item["links"]["self"] for item in rest["predictions"]] == [location]
    cancelled = await client.patch(location, json={"state": "cancelled"})
    assert cancelled.json()["state"] == "cancelled"
    assert {kernel["state"] for kernel in cancelled.json()["kernels"].values()} == {"cancelled"}
    problem(await client.get(f"{location}/mean"), 409)
    assert (await client.delete(location)).status_code == 204
    problem(await client.get(location), 404)
    # A prediction is no kernel job and the other way round.
    problem(await client.get(f"/v1/kernels/{second['id']}"), 404)
    problem(await client.get(f"/v1/predictions/{second['kernels']['train']['id']}"), 404)
    assert (await client.delete(second["links"]["self"])).status_code == 204
    assert (await client.get("/v1/kernels")).json()["kernels"] == []
    # Tiles in flight are dropped by the worker that gets them.
    assert not await service.client.exists(keys.RING, keys.LIVE)


@pytest.mark.parametrize("change", ["cancelled", "deleted"])
async def test_a_prediction_fails_with_its_kernel(client, working, change):
    record = (await client.post("/v1/predictions", json=body())).json()
    path = f"/v1/kernels/{record['kernels']['cross']['id']}"
    if change == "cancelled":
        await client.patch(path, json={"state": "cancelled"})
    else:
        await client.delete(path)
    failed = (await client.get(record["links"]["self"])).json()
    assert failed["state"] == "failed"
    assert record["kernels"]["cross"]["id"] in failed["error"]["detail"]
    assert "cancelled" in failed["error"]["detail"]


async def test_a_kernel_that_cannot_be_computed_is_the_reason(client, working):
    steep = {"layers": [{"type": "dense", "w_std": 1e3}, {"type": "exp"}, {"type": "dense"}]}
    async with working():
        response = await client.post(
            "/v1/predictions", json=body(architecture=steep, dtype="float32"), headers=WAIT
        )
    record = response.json()
    assert record["state"] == "failed"
    assert "a tile of this job was refused" in record["error"]["detail"]


async def test_a_kernel_that_cannot_be_factorised_is_refused_with_what_to_do(client, working):
    # Twice the same input: the kernel is singular, and jitter is added and told.
    x, y, _ = data()
    twice = {"x_train": np.concatenate([x, x[:3]]).tolist(), "y_train": [*y, *y[:3]]}
    model = {"type": "gaussian_process", "diag_reg": {"type": "absolute", "value": 0.0}}
    async with working():
        record = await predicted(client, body(model=model, dtype="float32", **twice))
        assert record["receipt"]["jitter"] > 0
        nothing = {"layers": [{"type": "dense", "w_std": 0.0, "b_std": 0.0}, {"type": "dense"}]}
        response = await client.post(
            "/v1/predictions", json=body(architecture=nothing), headers=WAIT
        )
    failed = response.json()
    assert (failed["state"], failed["error"]["status"]) == ("failed", 422)
    assert "nothing can be learnt" in failed["error"]["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"y_train": None}, "/y_train", "missing"),
        ({"y_train": [1.0, 2.0]}, "/y_train", "each of the 30"),
        ({"y_train": [[1.0], [float(2)]] * 15, "task": "classification"}, None, ""),
        ({"y_train": [0.5] * 30, "task": "classification"}, "/y_train", "whole numbers"),
        ({"x_test": [[1.0, 2.0]]}, "/x_test", "x_test has 2"),
        ({"x_test": [[1.0, 2.0, None]]}, "/x_test/0/2", "expected a number"),
        ({"outputs": ["classes"]}, "/outputs/0", "regression has no classes"),
        ({"outputs": ["mean", "mean"]}, "/outputs", "named once"),
        ({"outputs": []}, "/outputs", "at least 1"),
        ({"model": {"type": "kernel_ridge"}, "outputs": ["variance"]}, "/outputs/0", "no variance"),
        ({"model": {"type": "lasso"}}, "/model", "lasso"),
        ({"model": {"type": "gradient_flow", "time": -1}}, "/model/time", "greater"),
        ({"model": {"type": "gradient_flow", "time": "soon"}}, "/model/time", ""),
        (
            {"model": {"type": "gaussian_process", "diag_reg": {"type": "absolute", "value": -1}}},
            "/model/diag_reg/value",
            "greater",
        ),
        (
            {"model": {"type": "gradient_flow", "time": 1.0, "diag_reg": {"type": "loo"}}},
            "/model/diag_reg",
            "time infinity",
        ),
        (
            {
                "model": {
                    "type": "kernel_ridge",
                    "diag_reg": {"type": "loo", "criterion": "log_density"},
                }
            },
            "/model/diag_reg/criterion",
            "no predictive density",
        ),
        ({"mask_train": [[True]]}, "/mask_train", "no positions to mask"),
        ({"form": "matrix"}, "/form", "no field of this name"),
    ],
)
async def test_wrong_requests_are_refused_at_the_place(
    client, left_behind, changes, pointer, words
):
    response = await client.post("/v1/predictions", json=body() | changes)
    if pointer is None:
        assert response.status_code == 202
        return
    before = await left_behind()
    document = problem(response, 422)
    assert document["pointer"] == pointer, document
    assert words in document["detail"], document
    assert before == set()


async def test_limits_are_named_before_any_work(client, service, left_behind):
    object.__setattr__(service.settings, "max_prediction_rows", 20)
    too_many = problem(await client.post("/v1/predictions", json=body()), 413)
    assert (too_many["limit_name"], too_many["limit"]) == ("max_prediction_rows", 20)
    x, y, _ = data()
    wide = body(
        x_train=x[:5].tolist(), y_train=y[:5].tolist(), x_test=x.tolist(), outputs=["covariance"]
    )
    assert problem(await client.post("/v1/predictions", json=wide), 413)["actual"] == 30
    limits = (await client.get("/v1/limits")).json()["limits"]
    assert limits["max_prediction_rows"] == 20
    # The second of its kernel jobs is one too many, and the first is not left behind.
    object.__setattr__(service.settings, "max_prediction_rows", 50)
    object.__setattr__(service.settings, "max_unfinished_jobs", 1)
    assert problem(await client.post("/v1/predictions", json=body()), 429)["actual"] == 2
    assert (await client.get("/v1/kernels")).json()["kernels"] == []
    assert await service.records.unfinished("default") == 0
    kept = {name.split(b":")[1] for name in await left_behind()}
    # The tenant's secret, counts, and a tile on its way to a worker that will drop it.
    assert kept <= {b"secret", b"turn", b"tallies", b"inflight", b"architecture", b"held"}


async def test_a_tile_store_that_cannot_keep_the_kernels_is_named(
    client, working, monkeypatch: pytest.MonkeyPatch
):
    async def gone(self: KernelValues, index: int, output: str) -> np.ndarray:
        raise Evicted("between looking and reading")

    async with working():
        with monkeypatch.context() as patch:
            patch.setattr(KernelValues, "tile", gone)
            response = await client.post("/v1/predictions", json=body(), headers=WAIT)
        record = response.json()
        assert (response.status_code, record["state"]) == (200, "failed")
        assert "GRAMD_TILES_BYTES" in record["error"]["detail"]
        # With room it is made, of the same kernels.
        assert (await predicted(client, body()))["receipt"]["reused"] is False
