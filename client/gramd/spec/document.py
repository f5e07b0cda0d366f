"""From the arguments of a builder to the JSON of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

Document: TypeAlias = dict[str, Any]
"""A part of a network, as JSON has it."""

Given: TypeAlias = Mapping[str, Any]
"""A part that a builder made, or its JSON written by hand."""


def document(kind: str | None, required: Mapping[str, Any], **others: tuple[Any, Any]) -> Document:
    """{"type": kind, ...}: what is required, and of the others (value, default) what is not default."""
    start: Document = {} if kind is None else {"type": kind}
    start |= {name: _plain(value) for name, value in required.items()}
    for name, (value, default) in others.items():
        found = _plain(value)
        if found is not None and found != _plain(default):
            start[name] = found
    return start


def typed(part: Given | str | float) -> Given | float:
    """A part that may be named alone, with defaults for all else, or be a number where that stands for
    one."""
    return {"type": part} if isinstance(part, str) else part


def _plain(value: Any) -> Any:
    """The same in what JSON knows: numpy's numbers become Python's, tuples become lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {name: _plain(item) for name, item in items}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value
