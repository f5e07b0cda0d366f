"""Kernels through the client are those of the library, whole, in part, and of ragged inputs."""

import asyncio
import gc
import warnings
from typing import Any

import httpx
import numpy as np
import pytest

import gramd
from gramd import spec as s
from kernels.matrix import kernel_matrix

from .conftest import ATTENTION, DENSE

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 4))
SEQUENCES = RNG.normal(size=(6, 5, 3)).astype("float32")


def test_one_call_does_it_all(client: gramd.Client) -> None:
    kernel = client.kernel(DENSE, X, X[:3] + 1, dtype="float64")
    expected = kernel_matrix(DENSE, X, X[:3] + 1, dtype="float64")
    np.testing.assert_array_equal(kernel.nngp, expected["nngp"])
    np.testing.assert_array_equal(kernel.ntk, expected["ntk"])
    assert (kernel.nngp.shape, kernel.ntk.dtype) == ((7, 3), np.float64)
    assert kernel.receipt["dtype"] == "float64"
    assert kernel.nngp.flags.c_contiguous
    assert kernel.nngp.flags.writeable


def test_volumes_are_inputs_too(client: gramd.Client) -> None:
    """(n, D, H, W, C), sent as they are and as a dataset in parts."""
    network = s.network(s.conv(window=[2, 2, 2]), s.relu(), s.global_avg_pool(), s.dense())
    volumes = RNG.normal(size=(5, 3, 4, 4, 2)).astype("float32")
    expected = kernel_matrix(network, volumes)
    for x in (volumes, client.datasets.create(volumes, part_rows=2)):
        np.testing.assert_array_equal(client.kernel(network, x).ntk, expected["ntk"])


def test_what_was_not_asked_for_says_so(client: gramd.Client) -> None:
    kernel = client.kernel(DENSE, X.tolist(), outputs="nngp")
    with pytest.raises(KeyError, match="this job has nngp; ask for ntk"):
        _ = kernel["ntk"]
    with pytest.raises(AttributeError, match="this job has nngp; ask for ntk"):
        _ = kernel.ntk
    assert hasattr(kernel, "nngp")
    assert not hasattr(kernel, "ntk")
    assert getattr(kernel, "ntk", None) is None


def test_a_dtype_may_be_numpys_and_results_show_themselves_in_one_line(
    client: gramd.Client,
) -> None:
    kernel = client.kernel(DENSE, X, dtype=np.float64)
    assert kernel.nngp.dtype == np.float64
    assert repr(kernel) == f"<Kernels of {kernel.job.id}: nngp (7, 7), ntk (7, 7)>"
    assert repr(kernel.job) == f"<Job {kernel.job.id}: succeeded, 1/1 tiles>"
    assert "7x4" in repr(client.datasets.create(X))


def test_mistakes_that_need_no_service_say_what_was_expected(
    client: gramd.Client, url: str
) -> None:
    wrong: Any
    for wrong in ("f2", int, None, "float16"):
        with pytest.raises(ValueError, match="expected the dtype float32 or float64, got"):
            client.kernel(DENSE, X, dtype=wrong)
    wrong = [s.dense()]
    with pytest.raises(TypeError, match=r"expected a network, spec.network.* got a list"):
        client.kernel(wrong, X)
    with pytest.raises(TypeError, match=r"expected a network, spec.network.* got a list"):
        client.describe(wrong)
    job = client.kernels.submit(DENSE, X)
    wrong = 3
    with pytest.raises(TypeError, match=r"rows as slice\(a, b\).* got 3"):
        client.kernels.fetch(job, "nngp", rows=wrong)
    with pytest.raises(TypeError, match=r"np.unique\(y_train, return_inverse=True\)"):
        client.predict(DENSE, X, ["a"] * 7, X, task="classification")
    with pytest.raises(ValueError, match="printable ASCII"):
        gramd.Client(key="ü")
    # Sent without the end of the line that a file has, so that it is a key, if a wrong one.
    with gramd.Client(url, key="gramd_0\n") as keyed, pytest.raises(gramd.NotAllowed):
        keyed.limits()


def test_sequences_of_differing_lengths_are_padded_and_masked(client: gramd.Client) -> None:
    lengths = [5, 2, 4]
    ragged = [SEQUENCES[i, :n] for i, n in enumerate(lengths)]
    mask = np.arange(5) < np.array(lengths)[:, None]
    kernel = client.kernel(ATTENTION, ragged, SEQUENCES)
    expected = kernel_matrix(ATTENTION, SEQUENCES[:3], SEQUENCES, mask1=mask)
    np.testing.assert_array_equal(kernel.ntk, expected["ntk"])


def test_arrays_in_an_array_of_objects_are_a_list(client: gramd.Client) -> None:
    mask = np.arange(5) < np.array([4, 5, 3])[:, None]
    for lengths in ([4, 5, 3], [5, 5, 5]):
        boxed, masks = np.empty(3, object), np.empty(3, object)
        boxed[:] = [SEQUENCES[i, :n] for i, n in enumerate(lengths)]
        masks[:] = [mask[i, :n] for i, n in enumerate(lengths)]
        kernel = client.kernel(ATTENTION, boxed, mask1=masks, outputs="nngp")
        expected = kernel_matrix(ATTENTION, SEQUENCES[:3], mask1=mask, outputs="nngp")
        np.testing.assert_array_equal(kernel.nngp, expected["nngp"])
    with pytest.raises(ValueError, match=r"x1\[0\] is \(3,\).* tokens need an embedding"):
        client.kernel(ATTENTION, [[5, 7, 2], [3, 1]])
    with pytest.raises(ValueError, match=r"x1\[0\] is \(5, 3\), x1\[1\] is \(5, 2\)"):
        client.kernel(ATTENTION, [SEQUENCES[0], SEQUENCES[1, :, :2]])


def test_masks_of_ragged_inputs_may_have_holes(client: gramd.Client) -> None:
    ragged = [SEQUENCES[0], SEQUENCES[1, :3]]
    holes = [np.array([True, False, True, True, True]), np.array([True, True, False])]
    mask = np.array([[1, 0, 1, 1, 1], [1, 1, 0, 0, 0]], bool)
    kernel = client.kernel(ATTENTION, ragged, mask1=holes, outputs=["nngp"])
    expected = kernel_matrix(ATTENTION, SEQUENCES[:2], mask1=mask, outputs=("nngp",))
    np.testing.assert_array_equal(kernel.nngp, expected["nngp"])


def test_forms_and_methods(client: gramd.Client) -> None:
    diagonal = client.kernel(DENSE, X, form="diagonal")
    np.testing.assert_array_equal(diagonal.nngp, kernel_matrix(DENSE, X, form="diagonal")["nngp"])
    method = s.method.monte_carlo(width=16, samples=4)
    estimate = client.kernel(DENSE, X, method=method)
    assert estimate.nngp_stderr.shape == (7, 7)
    assert (estimate.ntk_stderr > 0).all()
    assert estimate.receipt["method"]["width"] == 16


def test_a_job_step_by_step(client: gramd.Client) -> None:
    dataset = client.datasets.create(SEQUENCES)
    assert dataset.shape == (6, 5, 3)
    assert client.datasets.create(SEQUENCES).id == dataset.id
    heard: list[str] = []
    job = client.kernels.submit(ATTENTION, dataset, outputs=["ntk"])
    assert job.id in [other.id for other in client.kernels.newest(10)]
    ended = client.kernels.wait(job, progress=lambda now: heard.append(now.state))
    assert heard[-1] == ended.state == "succeeded"
    assert client.kernels.get(job.id).state == "succeeded"
    assert (
        client.kernel(client.kernels.architecture(job), SEQUENCES, outputs="ntk").job.id != job.id
    )
    whole = client.kernels.fetch(ended, "ntk")
    part = client.kernels.fetch(
        job.id, "ntk", rows=slice(2, 5), cols=slice(1, None), dtype="float64"
    )
    np.testing.assert_array_equal(part, whole[2:5, 1:].astype(np.float64))
    with pytest.raises(ValueError, match="no result 'nngp'; it has: ntk"):
        client.kernels.fetch(ended, "nngp")
    with pytest.raises(gramd.Conflict, match="succeeded"):
        client.kernels.cancel(job)
    client.kernels.delete(job)
    with pytest.raises(gramd.NotFound):
        client.kernels.get(job)
    client.datasets.delete(dataset)
    with pytest.raises(gramd.NotFound):
        client.datasets.get(dataset)


def test_a_cancelled_job_says_so(client: gramd.Client) -> None:
    # Large enough that it has not ended when it is cancelled.
    job = client.kernels.submit(ATTENTION, RNG.normal(size=(64, 300, 4)))
    with pytest.raises(gramd.NotFinished) as caught:
        client.kernels.fetch(job, "ntk")
    assert caught.value.retry_after is not None
    with pytest.raises(gramd.StillRunning, match=job.id):
        client.kernels.wait(job, timeout=0.01)
    assert client.kernels.cancel(job).state == "cancelled"
    ended = client.kernels.wait(job)
    with pytest.raises(gramd.JobCancelled):
        client.kernels.collect(ended)
    client.kernels.delete(job)


def test_mistakes_point_at_the_place(client: gramd.Client) -> None:
    with pytest.raises(gramd.InvalidArchitecture) as caught:
        client.kernel(s.network(s.dense(w_std=-1.0)), X)
    assert caught.value.pointer == "/architecture/layers/0/w_std"
    assert caught.value.request_id
    with pytest.raises(gramd.InvalidInput, match="x1"):
        client.kernel(DENSE, np.full((2, 2), np.nan))
    with pytest.raises(gramd.LimitExceeded) as limit:
        client.kernel(DENSE, X, method=s.method.monte_carlo(width=4096, samples=65536))
    assert limit.value.limit == client.limits()[limit.value.limit_name or ""]


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        ([np.ones((3, 2)), np.ones((4, 3))], None, r"x1\[0\] is \(3, 2\), x1\[1\] is \(4, 3\)"),
        ([np.ones(3), np.ones(4)], None, "a list of arrays"),
        (np.array(["a"]), None, "real numbers"),
        (np.ones((2, 3, 1)), np.ones((2, 3)), "must be boolean"),
        ([np.ones((3, 2)), np.ones((4, 2))], [np.ones(3, bool)], "expected 2 masks"),
    ],
)
def test_arrays_of_no_shape_are_refused_here(
    client: gramd.Client, x: object, mask: object, message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        client.kernel(ATTENTION, x, mask1=mask)


def test_bounds(client: gramd.Client) -> None:
    typical = client.bounds([8, 16], gaussian={"channels": 8, "heads": 2})
    assert [entry["length"] for entry in typical["bounds"]] == [8, 16]
    w = np.ones((2, 4, 2))
    given = client.bounds([8], wq=w, wv=w, wo=np.ones((4, 4)))
    assert given["layer"]["heads"] == 2


async def test_the_asynchronous_client_is_the_same_with_await(url: str) -> None:
    async with gramd.AsyncClient(url, progress=False) as client:
        assert await client.ready()
        kernels = await asyncio.gather(*(client.kernel(DENSE, X + shift) for shift in range(3)))
        job = await client.kernels.submit(DENSE, await client.datasets.create(X))
        ended = await client.kernels.wait(job)
        rows = await client.kernels.fetch(ended, "nngp", rows=slice(0, 2))
        with pytest.raises(gramd.InvalidArchitecture):
            await client.describe(s.network(s.relu()), (3,))
    for shift, kernel in enumerate(kernels):
        np.testing.assert_array_equal(kernel.ntk, kernel_matrix(DENSE, X + shift)["ntk"])
    np.testing.assert_array_equal(rows, kernel_matrix(DENSE, X)["nngp"][:2])


def test_what_there_is_to_know_of_a_job(client: gramd.Client) -> None:
    asked = client.estimate(DENSE, X + 2, outputs=("nngp",))
    assert (asked["tiles"]["total"], asked["admitted"]) == (1, True)
    job = client.kernels.submit(DENSE, X + 2, outputs=("nngp",))
    # It waits for the job, and for the worker that looks at its matrix.
    found = client.kernels.diagnostics(job)
    values = np.linalg.eigvalsh(
        kernel_matrix(DENSE, X + 2, outputs=("nngp",))["nngp"].astype(float)
    )
    assert found["results"]["nngp"]["largest_eigenvalue"] == pytest.approx(values[-1], rel=1e-6)
    assert client.kernels.preview(job.id).startswith(b"\x89PNG")
    # Readers of Zarr send no key.
    document = httpx.get(f"{client.kernels.zarr(job)}/nngp/zarr.json").json()
    assert (document["zarr_format"], document["shape"]) == (3, [7, 7])
    assert client.estimate(DENSE, X + 2, outputs=("nngp",))["tiles"]["cached"] == 1


def test_new_rows_extend_a_matrix(client: gramd.Client) -> None:
    job = client.kernels.submit(DENSE, X[:4], X)
    longer = client.kernels.wait(client.kernels.extend(job, X[4:]))
    np.testing.assert_array_equal(
        client.kernels.collect(longer).ntk, kernel_matrix(DENSE, X, X)["ntk"]
    )
    ragged = [SEQUENCES[i, :n] for i, n in enumerate([3, 2, 3, 5, 1])]
    job = client.kernels.submit(ATTENTION, ragged[:3], outputs=("nngp",))
    longer = client.kernels.wait(client.kernels.extend(job, ragged[3:]))
    np.testing.assert_allclose(
        client.kernels.collect(longer).nngp, client.kernel(ATTENTION, ragged).nngp, rtol=1e-6
    )
    with pytest.raises(gramd.InvalidRequest, match="new rows"):
        client.kernels.extend(job)
    with pytest.raises(ValueError, match="mask1 is given without x1"):
        client.kernels.extend(job, mask1=np.ones((1, 4), bool))


def test_the_same_with_await(url: str) -> None:
    async def ask() -> tuple[dict[str, Any], bytes, str]:
        async with gramd.AsyncClient(url) as client:
            job = await client.kernels.submit(DENSE, X)
            found = await client.kernels.diagnostics(job)
            return found, await client.kernels.preview(job), await client.kernels.zarr(job)

    found, picture, group = asyncio.run(ask())
    assert set(found["results"]) == {"nngp", "ntk"}
    assert picture.startswith(b"\x89PNG")
    assert group.startswith(url)


def test_a_client_that_nobody_closes_leaves_no_socket_behind(url: str) -> None:
    client = gramd.Client(url, progress=False)
    client.limits()
    gc.collect()  # what others left is no matter here
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
