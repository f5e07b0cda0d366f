"""The base of every spec: a frozen record whose numbers can be told from its structure.

A compiled kernel depends on a network's structure (layer types, windows, paddings) but takes its
numbers (`w_std`, `eps`, ...) as arguments, so a sweep over hyperparameters compiles once. Fields
declared with the `Number` types below are the numbers; `split` takes them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self, TypeAlias, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from kernels.spec.pointers import shown

Numbers: TypeAlias = Mapping[str, Any]
"""The numbers of one spec by field name; those of a nested spec are a nested mapping."""


class _Traced:
    """Stands where a number was taken out; using it in arithmetic is a TypeError, as it should."""

    def __repr__(self) -> str:
        return "TRACED"


TRACED: Final = _Traced()


class _IsNumber:
    """Marks a field as a number of the compiled function's arguments."""


_NUMBER: Final = _IsNumber()


def _positive_zero(value: float) -> float:
    return value + 0.0  # -0.0 and 0.0 are one number and must share a digest


def listed(what: str) -> BeforeValidator:
    """JSON has lists where a frozen spec has tuples. what: of anything else, what was expected,
    "a list of numbers"."""

    def as_tuple(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected {what}; got {shown(value)}")
        return tuple(cast("Sequence[object]", value))

    return BeforeValidator(as_tuple)


class ByName:
    """Marks a union of specs, told apart by `type`, of which a name alone stands for {"type": name},
    with defaults for all else; the JSON Schema says so too."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_as_typed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        names = [
            name
            for name, place in found["discriminator"]["mapping"].items()
            if not handler.resolve_ref_schema({"$ref": place}).get("required")
        ]
        alone = {"enum": sorted(names), "type": "string"}
        return {**found, "oneOf": [*found["oneOf"], alone]}


def _as_typed(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


# Bounds stand before the validator: behind it they would be missing from the JSON Schema.
_AnyNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Cleared = AfterValidator(_positive_zero)
Number = Annotated[_AnyNumber, _Cleared, _NUMBER]
NonNegative = Annotated[_AnyNumber, Field(ge=0), _Cleared, _NUMBER]
Positive = Annotated[_AnyNumber, Field(gt=0), _Cleared, _NUMBER]
Fraction = Annotated[_AnyNumber, Field(ge=0, le=1), _Cleared, _NUMBER]
PositiveFraction = Annotated[_AnyNumber, Field(gt=0, le=1), _Cleared, _NUMBER]
ProperFraction = Annotated[_AnyNumber, Field(ge=0, lt=1), _Cleared, _NUMBER]
StepSize = Annotated[_AnyNumber, Field(gt=0, lt=2), _Cleared, _NUMBER]
Count = Annotated[int, Field(strict=True, ge=1)]

MAX_SEED: Final = 2**32 - 1
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
"""Of random numbers: what every generator here takes, and JSON readers keep whole."""


class Spec(BaseModel):
    """A frozen, hashable part of an architecture; unknown fields are refused."""

    # Networks are keys of everything that is kept, and are looked up many times a tile.
    __slots__ = ("_hash",)

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __hash__(self) -> int:
        found: int | None = getattr(self, "_hash", None)
        if found is None:
            found = hash((type(self), *self.__dict__.values()))
            object.__setattr__(self, "_hash", found)
        return found

    def split(self) -> tuple[Self, Numbers]:
        """The structure (numbers replaced by `TRACED`: a compilation key) and the numbers."""
        structure: dict[str, Any] = {}
        numbers: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Spec):
                structure[name], nested = value.split()
                if nested:
                    numbers[name] = nested
            elif value is not None and _is_number(field):
                structure[name], numbers[name] = TRACED, value
            else:
                structure[name] = value
        return type(self).model_construct(**structure), numbers

    def _undefined(self, method: str) -> NotImplementedError:
        """What a method raises that a family of specs leaves to its members."""
        return NotImplementedError(
            f"{type(self).__name__} does not define `{method}`, which what it says of itself asks "
            f"for (docs/adding-a-layer.md)"
        )

    def canonical(self) -> dict[str, Any]:
        """The JSON object with every default filled in; what is null is left out."""
        return self.model_dump(mode="json", exclude_none=True)


def _is_number(field: FieldInfo) -> bool:
    """Whether a field is declared with a number type, with "that or None", or a tuple of them."""
    members = get_args(field.annotation)
    return _NUMBER in field.metadata or any(
        _NUMBER in getattr(member, "__metadata__", ()) for member in members
    )
