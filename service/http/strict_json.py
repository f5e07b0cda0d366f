"""JSON as RFC 8259 has it, with the doors closed that Python's reader leaves open.

Refused, with the place: NaN and Infinity (not JSON), names that occur twice in one object (readers
disagree on which one counts), lone surrogates (not Unicode), integers too long to convert, and
nesting past a limit that is checked before anything recurses. So are objects of more names than any
body has, since every unknown one would be described.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import numpy as np

from service.http.problems import InvalidRequest, MalformedRequest

# An architecture of ten nested branches is 30 deep; Python's own readers recurse and give up near
# 1,000.
MAX_DEPTH = 100
# Of one object; the bodies of the contract have a dozen, and what is numerous stands in lists.
MAX_NAMES = 1000

# One whole string, or what is left of one that never ends. Possessive, so a hostile body costs one
# pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def read_json(data: bytes | bytearray) -> Any:
    """The value of a JSON text in UTF-8.

    Raises MalformedRequest with the position of what is wrong, or InvalidRequest for nesting past
    MAX_DEPTH and for an object of more than MAX_NAMES names.
    """
    depth = _depth(data)
    if depth > MAX_DEPTH:
        raise InvalidRequest(
            "the JSON is nested too deep",
            limit=MAX_DEPTH,
            actual=depth,
            also={"limit_name": "max_json_depth"},
        )
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"the JSON is not UTF-8: byte {error.start} cannot be decoded"
        ) from error
    except UnicodeEncodeError as error:
        raise MalformedRequest(
            "the JSON holds a lone surrogate (\\ud800 to \\udfff), which is no character"
        ) from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno} (character"
            f" {error.pos})",
            also={"position": error.pos, "line": error.lineno, "column": error.colno},
        ) from error
    except ValueError as error:
        # The one ValueError left: Python refuses to convert integers of more than 4,300 digits.
        raise MalformedRequest("the JSON holds an integer of thousands of digits") from error
    return value


def _depth(data: bytes | bytearray) -> int:
    """How deep brackets nest, strings aside; exact for JSON, and an answer for anything else."""
    outside = _STRING.sub(b"", data)
    steps = _STEP[np.frombuffer(outside, np.uint8)]
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedRequest(
        f"{name} is not JSON; numbers must be finite, and masked entries may be any number, such"
        " as 0"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise InvalidRequest(
            "an object of the JSON has too many names",
            limit=MAX_NAMES,
            actual=len(pairs),
            also={"limit_name": "max_json_names"},
        )
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise MalformedRequest(f"the name {name[:60]!r} occurs twice in one object")
        value[name] = item
    return value
