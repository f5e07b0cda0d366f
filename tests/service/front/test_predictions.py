"""Predictions over HTTP: the same numbers as scikit-learn on the kernels that were fetched."""

import json

import numpy as np
import pytest
from scipy.linalg import expm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge

from tests.kernels.predict.matrices import Precomputed

from .conftest import DENSE, problem
from .predicting import WAIT, M, N, body, data, fetched, kernels, predicted


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


async def test_the_output_scale_that_leave_one_out_chooses(client, working):
    """Targets in other units, whose error bars a prior of fixed width has badly wrong, and says so."""
    _, y, _ = data()
    diag_reg = {"type": "relative", "value": 0.05}
    models = {
        scale: {"type": "gaussian_process", "diag_reg": diag_reg, "output_scale": scale}
        for scale in (1.0, 4.0, "loo")
    }
    outputs = ["mean", "variance", "covariance"]
    async with working():
        found, receipts = {}, {}
        for scale, model in models.items():
            asked = body(model=model, y_train=(100 * y).tolist(), outputs=outputs)
            record = await predicted(client, asked)
            found[scale] = {name: await fetched(client, record, name) for name in outputs}
            receipts[scale] = record["receipt"]
    best = receipts["loo"]["output_scale"]
    assert receipts[1.0]["output_scale"] == 1
    for scale, times in ((4.0, 4.0), ("loo", best)):
        np.testing.assert_allclose(found[scale]["mean"], found[1.0]["mean"], rtol=1e-9)
        for name in ("variance", "covariance"):
            np.testing.assert_allclose(found[scale][name], times * found[1.0][name], rtol=1e-9)
    # Each left out by its own fit: their squared errors are as large as their variances.
    nngp, _ = kernels()
    noise = 0.05 * np.diagonal(nngp[:N, :N]).mean()
    ratios = []
    for out in range(N):
        rest = np.delete(np.arange(N), out)
        theirs = GaussianProcessRegressor(Precomputed(nngp), alpha=noise, optimizer=None)
        theirs.fit(rest[:, None], 100 * y[rest])
        mean, std = theirs.predict([[out]], return_std=True)
        ratios.append((mean - 100 * y[out]) ** 2 / (std**2 + noise))
    assert best == pytest.approx(np.mean(ratios), rel=1e-6)
    assert receipts["loo"]["warnings"] == []
    (warning,) = receipts[1.0]["warnings"]
    assert f'output_scale "loo", which is {best:.4g} here' in warning


async def test_a_search_that_ends_at_an_end_of_its_grid_says_so(client, working):
    async with working():
        for grid, words in (([1e-4, 1e-3], "largest candidate"), ([1.0, 9.0], "smallest")):
            diag_reg = {"type": "loo", "grid": grid}
            y = np.random.default_rng(5).standard_normal(N) if words[0] == "l" else data()[1]
            model = {"type": "kernel_ridge", "diag_reg": diag_reg}
            record = await predicted(client, body(model=model, y_train=y.tolist()))
            (warning,) = record["receipt"]["warnings"]
            assert words in warning


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


async def test_a_number_alone_as_diag_reg_is_relative(client):
    model = {"type": "gaussian_process", "diag_reg": 0.1}
    record = (await client.post("/v1/predictions", json=body(model=model))).json()
    assert record["model"]["diag_reg"] == {"type": "relative", "value": 0.1}
    for wrong in (-0.1, True, "loo"):
        refused = await client.post("/v1/predictions", json=body(model=model | {"diag_reg": wrong}))
        assert problem(refused, 422)["pointer"] == "/model/diag_reg"


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
