"""Which parameters a place in a document may have, and which of them an unknown one was to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'relu'?" where one of the known names is much like it, else ""."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def parameters_at(spec: Any, location: Sequence[str | int]) -> tuple[str, ...]:
    """The parameters, `type` left out, of the object that a pydantic location leads to.

    Args:
        spec: what was validated: a model, or a union of them.
        location: names of fields, places in lists and `type`s of union members, as pydantic has them.

    Returns () where it leads to none, or to one of several.
    """
    found = _models(spec)
    for token in location:
        if isinstance(token, int):
            continue
        named = [model for model in found if _type_of(model) == token]
        fields = [model.model_fields[token] for model in found if token in model.model_fields]
        found = named or [model for field in fields for model in _models(field.annotation)]
    if len(found) != 1:
        return ()
    return tuple(name for name in found[0].model_fields if name != "type")


def _type_of(model: type[BaseModel]) -> Any:
    field = model.model_fields.get("type")
    return None if field is None else field.default


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names, in unions, lists and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = [model for part in get_args(annotation) for model in _models(part)]
    return list(dict.fromkeys(inner))
