"""The JSON Schema that GET /v1/layers publishes admits what the parser takes, names alone included."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from kernels.mechanisms.linear import Linear
from kernels.registry import LAYERS, MECHANISMS
from kernels.spec.model import Spec

ATTENTION = next(layer for layer in LAYERS if layer.name() == "attention")
FEATURE_MAPS = ("relu", "elu_plus_one", "dpfp")
NAMES = [
    *((ATTENTION, "mechanism", mechanism.name()) for mechanism in MECHANISMS),
    *((Linear, "feature_map", name) for name in FEATURE_MAPS),
]


def admits(spec: type[Spec], document: dict[str, Any]) -> bool:
    """Whether the schema admits a document; the parser must think the same of it."""
    schema = spec.model_json_schema()
    Draft202012Validator.check_schema(schema)
    by_schema = Draft202012Validator(schema).is_valid(document)
    try:
        spec.model_validate(document)
    except ValidationError:
        assert not by_schema, document
    else:
        assert by_schema, document
    return by_schema


@pytest.mark.parametrize(("spec", "field", "name"), NAMES)
def test_a_name_alone_stands_for_its_object(spec: type[Spec], field: str, name: str) -> None:
    assert admits(spec, {field: name})
    assert admits(spec, {field: {"type": name}})
    alone, whole = (spec.model_validate({field: form}) for form in (name, {"type": name}))
    assert alone == whole
    assert not admits(spec, {field: {"type": name, "no_such_parameter": 1}})


@pytest.mark.parametrize("value", ["attention", "", "Softmax", 1, None, [], ["softmax"], True])
def test_nothing_else_stands_for_one(value: Any) -> None:
    assert not admits(ATTENTION, {"mechanism": value})
    assert not admits(Linear, {"feature_map": value})


@pytest.mark.parametrize("layer", LAYERS)
def test_the_schema_of_every_layer_is_one(layer: type[Spec]) -> None:
    Draft202012Validator.check_schema(layer.model_json_schema())
