"""From pydantic's error locations to RFC 6901 pointers into the caller's own document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kernels.errors import SpecError
from kernels.spec.parameters import did_you_mean, parameters_at

_DICTIONARY = re.compile(r"a valid dictionary(?: or (?:an )?(?:instance of|object to extract) .*)?")


def escape(token: str | int) -> str:
    """One reference token of a JSON pointer."""
    return str(token).replace("~", "~0").replace("/", "~1")


def locate(document: Any, location: Sequence[str | int]) -> str:
    """The pointer of the deepest place of `document` that a pydantic location names.

    Pydantic puts names of union members between the keys; those lead nowhere in the document
    and are passed over.
    """
    pointer, node = "", document
    for token in location:
        children = _children(node)
        if token in children:
            node = children[token]
            pointer += "/" + escape(token)
    return pointer


def _children(node: Any) -> Mapping[Any, Any]:
    if isinstance(node, Mapping):
        return cast("Mapping[Any, Any]", node)
    return dict(enumerate(cast("Sequence[Any]", node))) if isinstance(node, list | tuple) else {}


def spec_error(error: ValidationError, document: Any, spec: Any) -> SpecError:
    """The first of pydantic's findings as a `SpecError`: expected, came, where.

    spec: what the document was to be, a model or a union of them.
    """
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    if first["type"] == "union_tag_invalid":
        location = (*location, "type")  # pydantic stops at the object that has the type
    known = parameters_at(spec, location[:-1]) if first["type"] == "extra_forbidden" else ()
    return SpecError(describe(first, known), locate(document, location))


def describe(finding: ErrorDetails, known: Sequence[str] = ()) -> str:
    """One sentence of what was expected and what came. known: parameters that the place may have."""
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "missing":
        return f"the parameter '{finding['loc'][-1]}' is required and has no default"
    if kind == "extra_forbidden":
        return _unknown(str(finding["loc"][-1]), known)
    if kind == "union_tag_invalid":
        tags = re.findall(r"'(\w+)'", context["expected_tags"])
        meant = did_you_mean(context["tag"], tags)
        given = _children(finding["input"]).get("type", context["tag"])
        return (
            f"unknown type {shown(given)}{meant or ';'} expected one of {context['expected_tags']}"
        )
    if kind in ("union_tag_not_found", "model_attributes_type"):
        return f"expected an object with a 'type'; got {shown(finding['input'])}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short":
        return f"expected at least {context['min_length']} of them; got {shown(finding['input'])}"
    return f"{_expectation(finding['msg'])}; got {shown(finding['input'])}"


def _unknown(name: str, known: Sequence[str]) -> str:
    """What is said of a parameter that is none."""
    start = f"unknown parameter '{name}'"
    if not known:
        return f"{start}; remove it or correct its name"
    meant = did_you_mean(name, known)
    return f"{start}{meant or ';'} known here: {', '.join(map(repr, known))}"


def _expectation(message: str) -> str:
    """What pydantic expected of what it calls an input, which is another thing in a network, in
    JSON's words and not in Python's."""
    said = message.replace("tuple", "list").replace("should be None", "should be null")
    said = _DICTIONARY.sub("an object", said)
    for bound in ("greater than", "less than"):
        said = said.replace(f"Input should be {bound}", f"expected a number {bound}")
    said = said.replace("Input should be ", "expected ")
    return said[:1].lower() + said[1:]


def shown(value: Any) -> str:
    """What came, as JSON, cut short; as Python shows it where it is no JSON, which only callers of
    `kernels` can send."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    # What ends in a log or on a terminal can hold no half of a pair.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 80 else text[:77] + "..."
