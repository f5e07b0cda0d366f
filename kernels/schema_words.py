"""JSON Schemas in words, for the tables of generated documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Part = Mapping[str, Any]

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def values(part: Part, nested: Callable[[Part], str | None]) -> str:
    """What a value may be: its kind and bounds, its alternatives, one of a few words.

    Args:
        part: the schema of a field, of the kind that pydantic writes.
        nested: the words for a part that a document has its own way of naming, such as a reference;
            None where it has none.
    """
    named = nested(part)
    if named is not None:
        return named
    for union in ("anyOf", "oneOf"):
        if union in part:
            kinds = (values(member, nested) for member in part[union])
            return " or ".join(kind for kind in dict.fromkeys(kinds) if kind != "null")
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part.get("type") == "array":
        inner = values(part["items"], nested) if part.get("items") else ""
        return f"list of {inner}" if inner else "list"
    bounds = [f"{sign} {_exact(part[key])}" for key, sign in _BOUNDS.items() if key in part]
    return " ".join([part.get("format") or part.get("type", "any"), ", ".join(bounds)]).strip()


def _exact(bound: float) -> str:
    return f"{bound:d}" if isinstance(bound, int) else f"{bound:g}"
