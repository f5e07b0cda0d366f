"""The bar that people see while a job runs."""

import pytest

from gramd.jobs import Job
from gramd.progress import Bar, listener


def job(state: str, done: int) -> Job:
    """A job of three tiles."""
    return Job({"id": "k", "state": state, "links": {}, "tiles_done": done, "tiles_total": 3})


def test_a_bar_counts_the_tiles(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar(job("queued", 0))
    bar(job("running", 2))
    bar(job("succeeded", 3))
    bar.close()
    drawn = capsys.readouterr().err
    assert "queued:   0%" in drawn
    assert "3/3" in drawn


def test_a_job_that_is_done_when_first_heard_of_needs_no_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = Bar()
    bar(job("succeeded", 3))
    bar.close()
    assert capsys.readouterr().err == ""


def test_bars_are_for_people() -> None:
    assert listener(None) is None, "standard error is no terminal here"
    assert listener(False) is None
    assert isinstance(listener(True), Bar)
