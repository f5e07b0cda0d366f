"""The JSON schemas of the contract: of bodies, which routes read themselves, and of responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from service.contract.examples import EXAMPLES
from service.requests.bounds import BoundsBody
from service.requests.datasets import OpenDatasetBody, SealBody
from service.requests.extensions import ExtensionBody
from service.requests.kernels import KernelBody
from service.requests.predictions import PredictionBody
from service.resources import Matrix, ProblemDocument
from service.routes.architectures import ArchitectureBody
from service.routes.following import StateBody

BODIES: tuple[type[BaseModel], ...] = (
    KernelBody,
    PredictionBody,
    ArchitectureBody,
    StateBody,
    ExtensionBody,
    OpenDatasetBody,
    SealBody,
    BoundsBody,
    Matrix,
    ProblemDocument,
)

# `    name: words` of a docstring, with the deeper lines that go on.
_ATTRIBUTE = re.compile(r"^    (\w+): ((?:.+\n?)(?:^     +.+\n?)*)", re.MULTILINE)


def completed(found: Mapping[str, Any]) -> dict[str, Any]:
    """All schemas by name.

    found: those that FastAPI found, of responses alone. Bodies and examples are added, and fields
    described.
    """
    schemas = dict(found)
    for model in BODIES:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for schema in schemas.values():
        _describe_fields(schema)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    return dict(sorted(schemas.items()))


def _describe_fields(schema: dict[str, Any]) -> None:
    """What a docstring says of its class's attributes becomes the descriptions of these fields."""
    said, _, attributes = str(schema.get("description", "")).partition("\n\nAttributes:\n")
    if said:
        schema["description"] = said
    noted = {name: " ".join(words.split()) for name, words in _ATTRIBUTE.findall(attributes)}
    for name, field in schema.get("properties", {}).items():
        if name in noted:
            field.setdefault("description", noted[name])
        elif name == "type" and "const" in field:
            field.setdefault("description", "which kind this is, of those that may stand here")
