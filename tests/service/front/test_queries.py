"""Slices, Accept and Prefer."""

import pytest
from starlette.requests import Request

from service.http.problems import InvalidRequest, NotAcceptable
from service.http.queries import negotiate, only, read_slice, waiting_seconds

OFFERS = ("application/x-npy", "application/octet-stream", "application/json")


def request(query: str = "", **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, range(10)),
        (":", range(10)),
        ("2:5", range(2, 5)),
        (":3", range(3)),
        ("9:", range(9, 10)),
    ],
)
def test_slices(text, expected):
    assert read_slice(text, 10, "rows") == expected


@pytest.mark.parametrize(
    "text", ["", "5", "5:5", "6:5", "0:11", "10:", "-3:", "a:b", "0:5:2", "1.0:2", "0:" + "9" * 30]
)
def test_bad_slices_name_their_parameter(text):
    with pytest.raises(InvalidRequest) as caught:
        read_slice(text, 10, "rows")
    assert caught.value.members["parameter"] == "rows"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/x-npy"),
        ("*/*", "application/x-npy"),
        ("application/*", "application/x-npy"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.9, */*;q=0.1", "application/json"),
        ("application/x-npy;q=0, */*", "application/octet-stream"),
        ("APPLICATION/JSON", "application/json"),
    ],
)
def test_accept(accept, expected):
    asked = request() if accept is None else request(accept=accept)
    assert negotiate(asked, OFFERS) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/*", "*/*;q=0", "nonsense"])
def test_an_accept_that_cannot_be_met(accept):
    with pytest.raises(NotAcceptable):
        negotiate(request(accept=accept), OFFERS)


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("wait=10", 10.0),
        ("respond-async, wait=5", 5.0),
        ("Wait = 7; x=1", 7.0),
        ("wait=1000", 60.0),
        ("wait=0", 0.0),
        ("wait=-1", None),
        ("wait=soon", None),
        ("respond-async", None),
    ],
)
def test_prefer(prefer, expected):
    assert waiting_seconds(request(prefer=prefer), 60.0) == expected


@pytest.mark.parametrize("query", ["row=1:2", "rows=1:2&rows=2:3"])
def test_unknown_and_repeated_parameters_are_refused(query):
    with pytest.raises(InvalidRequest):
        only(request(query), "rows", "cols")
