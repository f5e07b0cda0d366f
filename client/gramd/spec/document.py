"""From the arguments of a builder to the JSON of a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, cast

import numpy as np

Document: TypeAlias = dict[str, Any]
"""A part of a network, as JSON has it."""

Given: TypeAlias = Mapping[str, Any]
"""A part that a builder made, or its JSON written by hand."""


P = ParamSpec("P")


def builder(function: Callable[P, Document]) -> Callable[P, Document]:
    """The same function, which says what its parameters are when it is called with others."""
    code = cast("Any", function).__code__
    places: int = code.co_argcount
    known: tuple[str, ...] = code.co_varnames[: places + code.co_kwonlyargcount]
    taken = ", ".join([*known[:places], *(f"{name}=" for name in known[places:])])
    width = "; layers are infinitely wide, so their width is no parameter" * ("w_std" in known)

    @wraps(function)
    def build(*unnamed: P.args, **named: P.kwargs) -> Document:
        others = ", ".join(name for name in named if name not in known)
        if others or len(unnamed) > places:
            got = others or f"{len(unnamed)} without a name"
            raise TypeError(f"{function.__name__}() takes {taken or 'nothing'}; got {got}{width}")
        return function(*unnamed, **named)

    return build


def document(kind: str | None, required: Mapping[str, Any], **others: tuple[Any, Any]) -> Document:
    """{"type": kind, ...}: what is required, and of the others (value, default) what is not default."""
    start: Document = {} if kind is None else {"type": kind}
    start |= {name: plain(value) for name, value in required.items()}
    for name, (value, default) in others.items():
        found = plain(value)
        if found is not None and found != plain(default):
            start[name] = found
    return start


def typed(part: Given | str | float) -> Given | float:
    """A part that may be named alone, with defaults for all else, or be a number where that stands for
    one."""
    return {"type": part} if isinstance(part, str) else part


def plain(value: Any) -> Any:
    """The same in what JSON knows: numpy's numbers become Python's, tuples become lists, infinity a
    word. Raises TypeError for a function that should have been called."""
    if callable(value):
        name = getattr(value, "__name__", str(value))
        raise TypeError(f"expected a part of a network, got the function {name}: call it, {name}()")
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and value == math.inf:
        return "infinity"
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {name: plain(item) for name, item in items}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    return value
