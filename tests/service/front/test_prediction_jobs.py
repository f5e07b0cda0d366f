"""Predictions as jobs: polled, evicted, cancelled, failed and refused."""

from collections.abc import Sequence
from unittest.mock import AsyncMock

import numpy as np
import pytest

from kernels.errors import KernelError
from service.store import keys
from service.store.job_fields import PredictionFields
from service.store.tiles import TileStore
from service.worker.tiler import Tiler

from .conftest import problem
from .predicting import WAIT, body, data, fetched, predicted


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


async def test_what_is_stored_of_a_prediction_is_in_the_list_of_fields(client, working, service):
    async with working():
        record = await predicted(client, body())
    stored = await service.client.hkeys(keys.job(keys.ref("default", record["id"])))
    names = {name.decode() for name in stored}
    assert PredictionFields.__required_keys__ <= names <= PredictionFields.__annotations__.keys()


@pytest.mark.parametrize("change", ["cancelled", "deleted"])
async def test_a_prediction_fails_with_its_kernel(client, service, change):
    record = (await client.post("/v1/predictions", json=body())).json()
    path = f"/v1/kernels/{record['kernels']['cross']['id']}"
    if change == "cancelled":
        await client.patch(path, json={"state": "cancelled"})
    else:
        await client.delete(path)
    failed = (await client.get(record["links"]["self"])).json()
    assert failed["state"] == "failed"
    error = failed["error"]
    assert record["kernels"]["cross"]["id"] in error["detail"]
    assert "cancelled" in error["detail"]
    assert (error["type"], error["status"]) == ("urn:gramd:problem:kernel-cancelled", 409)
    assert error["title"] == "A kernel that this needs was not computed"
    # Nobody is left to go on for.
    assert failed["kernels"]["train"]["state"] == "cancelled"
    assert not await service.client.exists(keys.RING, keys.LIVE)


@pytest.mark.parametrize("change", ["cancelled", "deleted", "failed"])
async def test_what_ends_with_a_kernel_is_kept_as_long_as_its_record_says(
    client, working, service, monkeypatch, change
):
    record = (await client.post("/v1/predictions", json=body())).json()
    train, cross = (record["kernels"][role]["id"] for role in ("train", "cross"))
    layouts = [keys.job(keys.ref("default", name), "layout") for name in (record["id"], train)]
    for layout in layouts:
        await service.client.expire(layout, 60)
    if change == "cancelled":
        await client.patch(f"/v1/kernels/{cross}", json={"state": "cancelled"})
    elif change == "deleted":
        await client.delete(f"/v1/kernels/{cross}")
    else:
        refused = AsyncMock(side_effect=KernelError("it cannot be computed"))
        monkeypatch.setattr(Tiler, "_tile", refused)
        async with working():
            await client.get(record["links"]["self"], headers=WAIT)
    assert (await client.get(record["links"]["self"])).json()["state"] == "failed"
    for layout in layouts:
        assert await service.client.ttl(layout) > 60


async def test_a_prediction_fails_at_once_when_a_kernel_is_deleted_that_had_succeeded(
    client, service, working
):
    async with working():
        done = await predicted(client, body())
    other = body(x_test=data(seed=1)[2].tolist())
    record = (await client.post("/v1/predictions", json=other)).json()
    states = {role: kernel["state"] for role, kernel in record["kernels"].items()}
    assert states == {"train": "succeeded", "cross": "queued"}
    await client.delete(f"/v1/kernels/{record['kernels']['train']['id']}")
    failed = (await client.get(record["links"]["self"])).json()
    assert failed["state"] == "failed"
    assert "was deleted" in failed["error"]["detail"]
    assert failed["kernels"]["cross"]["state"] == "cancelled"
    assert not await service.client.exists(keys.RING, keys.LIVE)
    # One that has succeeded needs its kernels no longer.
    await client.delete(f"/v1/kernels/{done['kernels']['train']['id']}")
    again = (await client.get(done["links"]["self"])).json()
    assert (again["state"], again["error"]) == ("succeeded", None)


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
    # Before labels become one column each, and before the network sees an input.
    classes = body(task="classification", y_train=[4] * 30, outputs=None)
    assert problem(await client.post("/v1/predictions", json=classes), 413)["actual"] == 30
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
    assert kept <= {b"secret", b"turn", b"tallies", b"inflight", b"held", b"books"}


async def test_a_tile_store_that_cannot_keep_the_kernels_is_named(
    client, working, monkeypatch: pytest.MonkeyPatch
):
    async def gone(self: TileStore, tenant: str, names: Sequence[str], output: str) -> list[None]:
        """Evicted between looking and reading, every time."""
        return [None] * len(names)

    async with working():
        with monkeypatch.context() as patch:
            patch.setattr(TileStore, "read_many", gone)
            response = await client.post("/v1/predictions", json=body(), headers=WAIT)
        record = response.json()
        assert (response.status_code, record["state"]) == (200, "failed")
        assert "GRAMD_TILES_BYTES" in record["error"]["detail"]
        # With room it is made, of the same kernels.
        assert (await predicted(client, body()))["receipt"]["reused"] is False
