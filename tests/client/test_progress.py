"""The bar that people see while a job runs."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gramd
from gramd import waiting
from gramd.connection import Connection
from gramd.exchange import Lost, Pause, Reply, Send, Talk
from gramd.jobs import Job
from gramd.progress import Bar, listener
from gramd.retry import Retry

from .conftest import ATTENTION, DENSE
from .faulty import Faulty


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


def recorded(talk: Talk[Job], sent: list[Send]) -> Talk[Job]:
    """The talk; what it sends is written down."""
    answer: Any = None
    lost: Lost | None = None
    while True:
        try:
            step = talk.send(answer) if lost is None else talk.throw(lost)
        except StopIteration as end:
            return end.value
        if isinstance(step, Send):
            sent.append(step)
        try:
            answer, lost = (yield step), None
        except Lost as error:
            lost = error


@pytest.fixture
def many(client: gramd.Client) -> Callable[[int], Job]:
    """Submit a job of many tiles, new for every seed."""

    def submit(seed: int) -> Job:
        x = np.random.default_rng(seed).normal(size=(2600, 4))
        return client.kernels.submit(DENSE, x, outputs=["nngp"])

    return submit


def test_progress_is_what_the_events_say(url: str, many: Callable[[int], Job]) -> None:
    sent, heard = list[Send](), list[Job]()
    submitted = many(1)
    assert submitted.tiles_total > 5
    talk = waiting.wait("kernels", submitted, Retry(), listener(heard.append))
    connection = Connection(url, None)
    ended = connection.run(recorded(talk, sent))
    connection.close()
    assert ended.state == heard[-1].state == "succeeded"
    assert ended.receipt is not None
    # The events of the whole job in one answer, and then the job itself.
    paths = [step.request.path for step in sent]
    assert paths == [submitted.document["links"]["events"], submitted.path]
    counts = [job.tiles_done for job in heard]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2


def test_a_prediction_is_followed_by_its_events_too(url: str, client: gramd.Client) -> None:
    sent, heard = list[Send](), list[Job]()
    x = np.random.default_rng(5).normal(size=(2600, 4))
    submitted = client.predictions.submit(DENSE, x, x[:, 0], x[:20] + 1.0)
    talk = waiting.wait("predictions", submitted, Retry(), listener(heard.append))
    connection = Connection(url, None)
    ended = connection.run(recorded(talk, sent))
    connection.close()
    assert ended.state == heard[-1].state == "succeeded"
    paths = [step.request.path for step in sent]
    assert paths == [submitted.document["links"]["events"], submitted.path]
    counts = [job.tiles_done for job in heard]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert counts[-1] == ended.tiles_total


def test_events_that_break_off_are_taken_up_after_the_last_one(
    faulty: Faulty, many: Callable[[int], Job]
) -> None:
    sent, heard = list[Send](), list[Job]()
    submitted = many(2)
    # The first connection ends in its second event, the second before anything has come.
    faulty.cut_down = [520, 5]
    talk = waiting.wait("kernels", submitted, Retry(first=0.01), listener(heard.append))
    connection = Connection(faulty.url, None)
    ended = connection.run(recorded(talk, sent))
    connection.close()
    assert ended.state == "succeeded"
    assert faulty.broken == 2
    events = [step for step in sent if step.request.path.endswith("/events")]
    assert "Last-Event-ID" not in events[0].request.headers
    assert all("Last-Event-ID" in step.request.headers for step in events[1:])
    counts = [job.tiles_done for job in heard]
    assert counts == sorted(counts)


async def test_the_asynchronous_client_hears_of_events_too(
    url: str, many: Callable[[int], Job]
) -> None:
    heard = list[Job]()
    async with gramd.AsyncClient(url, progress=heard.append) as client:
        ended = await client.kernels.wait(many(3))
    assert ended.state == "succeeded"
    assert len({job.tiles_done for job in heard}) > 2


@pytest.mark.parametrize(
    "answer",
    [Reply(429, {}), Reply(200, {"content-type": "text/html"}), Reply(204, {}), None],
    ids=["too many", "a proxy's page", "it has ended", "no connection"],
)
def test_without_events_the_service_is_asked(answer: Reply | None) -> None:
    heard = list[Job]()
    links = {"self": "/v1/kernels/k", "events": "/v1/kernels/k/events"}
    document = {**job("running", 1).document, "links": links, "results": []}
    talk = waiting.wait("kernels", Job(document), Retry(attempts=2), listener(heard.append))
    step = next(talk)
    while isinstance(step, Pause) or step.request.path == links["events"]:
        if isinstance(step, Pause):
            step = next(talk)
        elif answer is None:
            step = talk.throw(Lost("no connection", sent=False))
        else:
            assert step.sink is not None
            if answer.ok:
                step.sink.begin(answer.headers)
                step.sink.feed(b"<html>\n\n<p>hello\n\n")
            step = talk.send(answer)
    assert step.request.path == links["self"]
    ended = {**document, "state": "succeeded", "tiles_done": 3}
    with pytest.raises(StopIteration) as end:
        talk.send(Reply(200, {}, json.dumps(ended).encode()))
    assert end.value.value.state == heard[-1].state == "succeeded"


def test_a_watched_job_that_takes_too_long_goes_on(client: gramd.Client) -> None:
    x = np.random.default_rng(4).normal(size=(300, 120, 4))
    submitted = client.kernels.submit(ATTENTION, x)
    with pytest.raises(gramd.StillRunning):
        client.kernels.wait(submitted, timeout=0.01, progress=lambda job: None)
    assert client.kernels.wait(submitted).state == "succeeded"


def test_bars_are_for_people() -> None:
    assert listener(None) is None, "standard error is no terminal here"
    assert listener(False) is None
    assert isinstance(listener(True), Bar)
