"""Datasets in parts: what was sent is not sent again, whatever happens in between."""

import numpy as np
import pytest

import gramd
from gramd import datasets
from gramd.retry import Retry

from .conftest import ATTENTION
from .faulty import Faulty

X = np.random.default_rng(2).normal(size=(50, 20, 30)).astype("float32")
MASK = np.arange(20) < np.arange(1, 51)[:, None]


def test_parts_make_the_same_dataset_as_the_whole(client: gramd.Client) -> None:
    whole = client.datasets.create(X, MASK)
    assert client.datasets.create(X, MASK, part_rows=13).id == whole.id
    assert client.datasets.get(whole).sealed


def test_large_arrays_travel_in_parts_by_themselves(
    client: gramd.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = client.kernel(ATTENTION, X[:6], outputs=["nngp"])
    monkeypatch.setattr(datasets, "WHOLE_BYTES", 10_000)
    found = client.kernel(ATTENTION, X[:6], outputs=["nngp"])
    np.testing.assert_array_equal(found.nngp, expected.nngp)


def test_an_upload_survives_a_line_that_breaks_again_and_again(
    client: gramd.Client, faulty: Faulty
) -> None:
    faulty.cut_up = [15_000, 40_000, 70_000]
    with gramd.Client(faulty.url, retry=Retry(first=0.02), progress=False) as cut:
        found = cut.datasets.create(X, part_rows=5)
    assert faulty.broken == 3
    assert found.id == client.datasets.create(X).id


def test_an_upload_is_taken_up_by_another_process(client: gramd.Client, faulty: Faulty) -> None:
    opened = client.datasets.begin(X, part_rows=10)
    assert not opened.sealed
    # Cut in the third of five parts of 24 kB, and nobody there to try again.
    faulty.cut_up = [60_000]
    with (
        gramd.Client(faulty.url, retry=Retry(attempts=1), progress=False) as dying,
        pytest.raises(gramd.Unreachable),
    ):
        dying.datasets.resume(opened, X)
    there = client.datasets.get(opened).received
    assert 0 < len(there) < 5
    sealed = client.datasets.resume(opened.id, X)
    assert sealed.id == client.datasets.create(X).id
    assert client.datasets.resume(opened.id, X).id == sealed.id


@pytest.mark.parametrize("mask", [None, MASK])
def test_parts_that_are_there_are_compared(
    client: gramd.Client, faulty: Faulty, mask: np.ndarray | None
) -> None:
    old, new = X.copy(), X.copy()
    old[12] += 1
    opened = client.datasets.begin(X, mask, part_rows=10)
    faulty.cut_up = [110_000]
    with (
        gramd.Client(faulty.url, retry=Retry(attempts=1), progress=False) as dying,
        pytest.raises(gramd.Unreachable),
    ):
        dying.datasets.resume(opened, old, mask)
    assert client.datasets.get(opened).received == (0, 1, 2, 3)
    # One part that is missing and one that differs: no third one would get through.
    faulty.cut_up = [70_000]
    with gramd.Client(faulty.url, retry=Retry(attempts=1), progress=False) as again:
        sealed = again.datasets.resume(opened, new, mask)
    assert sealed.id == client.datasets.create(new, mask).id


def test_other_arrays_than_those_announced_are_refused(client: gramd.Client) -> None:
    opened = client.datasets.begin(X)
    with pytest.raises(ValueError, match="has shape"):
        client.datasets.resume(opened, X[:3])
    with pytest.raises(ValueError, match="begun without a mask"):
        client.datasets.resume(opened, X, MASK)
    client.datasets.delete(opened)
