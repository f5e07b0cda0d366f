"""Which calls are made again, and when: the core driven by hand, without a socket."""

import json
from typing import Any

import pytest

import gramd
from gramd.errors import read_problem
from gramd.exchange import Lost, Pause, Reply, Request, Send, Talk, exchange
from gramd.retry import Retry

GET = Request("GET", "/v1/limits")
POST = Request("POST", "/v1/kernels", headers={"Idempotency-Key": "k"})
RISKY = Request("POST", "/v1/kernels", repeatable=False)
OK = Reply(200, {}, b"{}")


def refusal(status: int, kind: str = "not-ready", **members: Any) -> Reply:
    """What the service answers when it refuses."""
    after = members.pop("retry_after", None)
    document = {"type": f"urn:gramd:problem:{kind}", "title": "T", "status": status, "detail": "D"}
    headers = {} if after is None else {"retry-after": str(after)}
    return Reply(status, headers, json.dumps(document | members).encode())


def drive(talk: Talk[Reply], *answers: Reply | Lost) -> tuple[Reply, list[float]]:
    """The talk's result and its pauses, given these answers to what it sends."""
    left, pauses, answer = list(answers), list[float](), None
    step = next(talk)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = talk.send(None)
                continue
            assert isinstance(step, Send)
            answer = left.pop(0)
            step = talk.throw(answer) if isinstance(answer, Lost) else talk.send(answer)
    except StopIteration as end:
        assert left == []
        return end.value, pauses


@pytest.mark.parametrize("request_", [GET, POST])
def test_a_lost_connection_is_tried_again_with_growing_pauses(request_: Request) -> None:
    lost = [Lost("broken", sent=True)] * 4
    reply, pauses = drive(exchange(request_, Retry(first=1, longest=4)), *lost, OK)
    assert reply is OK
    bounds = [(0.5, 1), (1, 2), (2, 4), (2, 4)]
    assert all(low <= pause <= high for pause, (low, high) in zip(pauses, bounds, strict=True))


def test_pauses_differ_from_client_to_client() -> None:
    lost = [Lost("broken", sent=True)] * 4
    assert (
        drive(exchange(GET, Retry()), *lost, OK)[1] != drive(exchange(GET, Retry()), *lost, OK)[1]
    )


def test_the_number_of_tries_is_bounded() -> None:
    lost = [Lost("broken", sent=True)] * 3
    with pytest.raises(gramd.Unreachable, match="broken") as caught:
        drive(exchange(GET, Retry(attempts=3)), *lost)
    assert caught.value.attempts == 3


def test_what_may_have_been_done_is_not_done_again() -> None:
    with pytest.raises(gramd.Unreachable):
        drive(exchange(RISKY, Retry()), Lost("broken", sent=True))
    with pytest.raises(gramd.ServerTrouble):
        drive(exchange(RISKY, Retry()), refusal(503))
    # Nothing can have been done where no connection was made.
    assert drive(exchange(RISKY, Retry()), Lost("refused", sent=False), OK)[0] is OK


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to_and_no_try(status: int) -> None:
    answers = [refusal(status, retry_after=3)] * 10
    _, pauses = drive(exchange(GET, Retry(attempts=2, first=0.25)), *answers, OK)
    assert all(3 <= pause <= 3.25 for pause in pauses)
    assert len(pauses) == 10


def test_patience_ends() -> None:
    answers = [refusal(503, "recomputing", retry_after=10)] * 3
    with pytest.raises(gramd.ServerTrouble) as caught:
        drive(exchange(GET, Retry(patience=25)), *answers)
    assert caught.value.retry_after == 10


def test_a_gateway_in_trouble_is_tried_again() -> None:
    page = Reply(502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>")
    assert drive(exchange(GET, Retry()), page, OK)[0] is OK
    with pytest.raises(gramd.UnexpectedAnswer, match="Bad gateway"):
        drive(exchange(GET, Retry(attempts=1)), page)


def test_a_key_that_is_being_handled_is_sent_again() -> None:
    busy = refusal(409, "conflict", retry_after=1)
    assert drive(exchange(POST, Retry()), busy, OK)[0] is OK
    # To anything else the same answer is final: rows that are not finished, say.
    with pytest.raises(gramd.Conflict):
        drive(exchange(GET, Retry()), busy)


def test_deleting_twice_is_deleting_once() -> None:
    delete = Request("DELETE", "/v1/kernels/k1")
    gone = refusal(404, "not-found")
    assert drive(exchange(delete, Retry()), Lost("broken", sent=True), gone)[0] is gone
    with pytest.raises(gramd.NotFound):
        drive(exchange(delete, Retry()), gone)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "malformed-request", gramd.InvalidRequest),
        (401, "unauthorized", gramd.NotAllowed),
        (404, "not-found", gramd.NotFound),
        (409, "not-finished", gramd.NotFinished),
        (409, "conflict", gramd.Conflict),
        (410, "expired", gramd.NotFound),
        (413, "too-large", gramd.LimitExceeded),
        (422, "invalid-request", gramd.InvalidRequest),
        (422, "invalid-architecture", gramd.InvalidArchitecture),
        (422, "invalid-input", gramd.InvalidInput),
        (429, "over-limit", gramd.LimitExceeded),
        (500, "internal-error", gramd.ServerTrouble),
        (507, "over-limit", gramd.LimitExceeded),
    ],
)
def test_every_refusal_has_its_class(status: int, kind: str, expected: type[gramd.Problem]) -> None:
    reply = refusal(status, kind, pointer="/x1", limit=5, limit_name="max_rows", actual=9)
    problem = read_problem(status, reply.headers, reply.body)
    assert type(problem) is expected
    assert (problem.pointer, problem.limit, problem.actual) == ("/x1", 5, 9)
    assert str(problem) == f"{status} T at /x1: D [max_rows 5, got 9]"
