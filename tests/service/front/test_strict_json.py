"""JSON is read as RFC 8259 has it, whatever is sent."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.problems import InvalidRequest, MalformedRequest
from service.http.strict_json import MAX_DEPTH, MAX_NAMES, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_json_writes_is_read(value):
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode("utf-8")) == value


@given(st.binary() | st.text(alphabet='[]{}":,\\eE+-.0123456789 nulltruefas').map(str.encode))
def test_anything_is_read_or_refused(data):
    with contextlib.suppress(MalformedRequest, InvalidRequest):
        read_json(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,}', "column"),
        (b'{"a": \n nope}', "line 2"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"\xff\xfe", "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b"1" * 5000, "digits"),
        (b"[1] [2]", "column 5"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text, says):
    with pytest.raises(MalformedRequest, match=says):
        read_json(text)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"]": '])
def test_nesting_is_bounded_before_anything_recurses(opening):
    with pytest.raises(InvalidRequest) as caught:
        read_json(opening * 100_000)
    assert caught.value.members["limit"] == MAX_DEPTH
    assert caught.value.members["limit_name"] == "max_json_depth"


def test_brackets_in_strings_do_not_count():
    text = "[" * 1000 + "\\" + '"' + "]" * 1000
    assert read_json(json.dumps([text]).encode()) == [text]


def test_a_string_that_never_ends_costs_one_pass():
    with pytest.raises(MalformedRequest):
        read_json(b'"\\"' * 300_000)


def test_nesting_up_to_the_limit_is_read():
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


def test_an_object_of_many_names_is_refused():
    def named(count: int) -> bytes:
        return json.dumps({str(name): 0 for name in range(count)}).encode()

    assert len(read_json(named(MAX_NAMES))) == MAX_NAMES
    with pytest.raises(InvalidRequest) as caught:
        read_json(b'{"architecture": ' + named(MAX_NAMES + 1) + b"}")
    assert caught.value.members == {
        "limit": MAX_NAMES,
        "actual": MAX_NAMES + 1,
        "limit_name": "max_json_names",
    }


def test_a_name_that_occurs_twice_is_found_in_one_pass():
    names = [f'"{name}": 0' for name in [*range(MAX_NAMES - 1), MAX_NAMES - 2]]
    with pytest.raises(MalformedRequest, match=f"'{MAX_NAMES - 2}' occurs twice"):
        read_json(b"{" + ", ".join(names).encode() + b"}")
