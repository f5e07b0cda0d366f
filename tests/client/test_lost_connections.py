"""The line to the service is cut in the middle: of a request, of waiting, of a matrix on its way."""

import numpy as np
import pytest

import gramd
from gramd.retry import Retry

from .conftest import ATTENTION, DENSE
from .faulty import Faulty

HASTY = Retry(first=0.02, longest=0.1)
X = np.random.default_rng(1).normal(size=(300, 6)).astype("float32")


@pytest.fixture
def cut(faulty: Faulty) -> gramd.Client:
    """A client whose line can be cut."""
    return gramd.Client(faulty.url, retry=HASTY, progress=False)


def test_a_job_is_made_once_though_its_request_and_its_answer_are_lost(
    cut: gramd.Client, faulty: Faulty, client: gramd.Client
) -> None:
    before = {job.id for job in client.kernels.newest(200)}
    # The first connection breaks while the arrays go up, the second after them, before the answer.
    faulty.cut_up, faulty.cut_down = [2_000, None], [None, 0]
    with cut:
        kernel = cut.kernel(DENSE, X)
    assert faulty.broken == 2
    np.testing.assert_array_equal(kernel.ntk, client.kernel(DENSE, X).ntk)
    made = [job for job in client.kernels.newest(200) if job.id not in before]
    assert len(made) == 2, "the one above, and the one it is compared with"


def test_waiting_goes_on(cut: gramd.Client, faulty: Faulty) -> None:
    with cut:
        job = cut.kernels.submit(ATTENTION, np.ones((40, 60, 4)) * np.arange(40)[:, None, None])
        cut.close()
    # Headers of the first answer to a waiting request never come whole.
    faulty.cut_down = [5, 5]
    with gramd.Client(faulty.url, retry=HASTY, progress=False) as again:
        ended = again.kernels.wait(job)
    assert ended.state == "succeeded"
    assert faulty.broken == 2


def test_a_matrix_goes_on_at_the_row_that_broke_off(
    cut: gramd.Client, faulty: Faulty, client: gramd.Client
) -> None:
    expected = client.kernel(DENSE, X)
    assert expected.nngp.nbytes == 360_000
    faulty.cut_down = [100_000, 150_000, 20_000]
    with cut:
        found = cut.kernels.fetch(expected.job, "nngp", rows=slice(10, 300))
    assert faulty.broken == 3
    np.testing.assert_array_equal(found, expected.nngp[10:])


def test_a_service_that_is_not_there_is_said_to_be(faulty: Faulty) -> None:
    faulty.__exit__(None, None, None)
    with (
        gramd.Client(faulty.url, retry=Retry(attempts=2, first=0.01)) as client,
        pytest.raises(gramd.Unreachable, match=f"no connection.* at {faulty.url}") as caught,
    ):
        client.limits()
    assert caught.value.attempts == 2


async def test_the_asynchronous_client_survives_the_same(faulty: Faulty) -> None:
    faulty.cut_up, faulty.cut_down = [2_000], [None, 20_000]
    async with gramd.AsyncClient(faulty.url, retry=HASTY, progress=False) as client:
        kernel = await client.kernel(DENSE, X, outputs=["nngp"])
    assert faulty.broken == 2
    assert np.isfinite(kernel.nngp).all()
