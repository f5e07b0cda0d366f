"""A network as one JSON document: parsing, canonical form, digest, and what it makes of an input.

Two spellings of one network (defaults left out or written, `repeat` or its expansion, a parallel
of one branch or its layers) have one canonical form and share its SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernels.errors import SpecError
from kernels.layers.chain import expand_all, forward_all, margin_of, steps_of
from kernels.layers.layer import Layer
from kernels.registry import AnyLayer
from kernels.spec.exactness import Exactness
from kernels.spec.model import listed
from kernels.spec.pointers import shown, spec_error
from kernels.spec.signal import Signal

MAX_DEPTH: Final = 32
"""Nesting of lists and objects in an architecture document."""
MAX_LAYERS: Final = 512
"""Layers of a network with repetitions written out; more would compile for minutes."""
MAX_VALUES: Final = 2**15
"""Values in an architecture document, lists and objects among them: 64 for each of its layers."""


class Architecture(BaseModel):
    """A parsed network; frozen and hashable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layers: Annotated[tuple[AnyLayer, ...], listed("a list of layers"), Field(min_length=1)]
    """The layers as written, so that errors can point into the caller's document."""

    @cached_property
    def expanded(self) -> tuple[Layer, ...]:
        """The layers of the canonical form; of equal networks the same object, so that what is kept
        under it is found without comparing specs."""
        return _first_of_equals(expand_all(self.layers))

    def canonical(self) -> dict[str, Any]:
        """The canonical document: defaults filled in, repetitions written out, nulls left out."""
        return {"layers": [layer.canonical() for layer in self.expanded]}

    def canonical_json(self) -> str:
        """The canonical document with sorted keys and no white space."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return sha256(self.canonical_json().encode()).hexdigest()

    @cached_property
    def exactness(self) -> Exactness:
        """The least exact of the layers' rules."""
        order: list[Exactness] = ["exact", "approximate", "estimated"]
        return max((layer.how_exact for layer in self.every_layer()), key=order.index)

    def every_layer(self) -> list[Layer]:
        """The canonical layers and those inside their branches."""
        return _all_layers(self.expanded)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a caller should know of its layers' parameters, each thing once."""
        return tuple(dict.fromkeys(text for layer in self.every_layer() for text in layer.warnings))

    def margin(self) -> int | None:
        """Masked positions to keep after an input's last real one; cutting off more is inert.

        None where the caller's length is part of what a layer does.
        """
        return margin_of(self.expanded)


@dataclass(frozen=True)
class Description:
    """What a network makes of an input of a given shape.

    Attributes:
        architecture: the network.
        input: the signal that comes in.
        output: the signal that comes out; its grid is () where the kernel is (n1, n2).
    """

    architecture: Architecture
    input: Signal
    output: Signal

    @property
    def steps(self) -> tuple[tuple[str, Signal], ...]:
        """The signal after every layer as written, by its pointer; of a repetition the first round.
        Made when asked for: most callers want the output alone."""
        return tuple(steps_of(self.architecture.layers, self.input, "/layers"))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; channels null means infinitely wide."""
        return {
            "input": self.input.as_dict(),
            "output": self.output.as_dict(),
            "steps": [{"pointer": place, **signal.as_dict()} for place, signal in self.steps],
            "kernel": "matrix" if not self.output.grid else "positions",
            "exactness": self.architecture.exactness,
        }


def parse_architecture(document: object) -> Architecture:
    """Reads a network from its JSON document, a mapping {"layers": [...]}, or passes one on.

    Raises:
        SpecError: with the pointer of the first thing that is wrong.
    """
    if isinstance(document, Architecture):
        return document
    if not isinstance(document, Mapping):
        raise SpecError(f'expected an object {{"layers": [...]}}, got {shown(document)}')
    mapping = cast("Mapping[str, Any]", document)
    _check_size(mapping)
    try:
        architecture = Architecture.model_validate(dict(mapping))
    except ValidationError as error:
        raise spec_error(error, document, Architecture) from None
    if not architecture.expanded:
        raise SpecError(
            "no layers are left: a parallel of one empty branch hands on what comes in; expected "
            "at least one layer that does something",
            "/layers",
        )
    return architecture


def describe(
    architecture: Architecture, input_shape: tuple[int, ...], masked: bool = False
) -> Description:
    """Sends the shape of one input, (d,), (T, d), (H, W, C) or (D, H, W, C), through the network.

    Raises:
        SpecError: a layer cannot act on what comes in; the pointer leads to it.
    """
    if not 1 <= len(input_shape) <= 4 or any(size < 1 for size in input_shape):
        raise SpecError(
            f"expected the shape of one input without its batch axis, (d,), (T, d), (H, W, C) or "
            f"(D, H, W, C), every size at least 1; got {list(input_shape)}"
        )
    *grid, channels = input_shape
    start = Signal(grid=tuple(grid), channels=channels, masked=masked)
    return Description(architecture, start, forward_all(architecture.layers, start, "/layers"))


@lru_cache(256)
def _first_of_equals(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return layers


def _all_layers(layers: tuple[Layer, ...]) -> list[Layer]:
    inner = [_all_layers(branch) for layer in layers for branch in layer.branches_of()]
    return list(layers) + [layer for branch in inner for layer in branch]


def _check_size(document: Mapping[str, Any]) -> None:
    """Refuses nesting, length and repetition beyond the limits before anything recursive, or
    anything that describes every mistake, touches them."""
    stack: list[tuple[Any, str, int]] = [(document, "", 0)]
    values = 0
    while stack:
        node, pointer, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} deep; flatten the document", pointer)
        if not isinstance(node, Mapping | list | tuple):
            continue
        values += len(node)
        if values > MAX_VALUES:
            raise SpecError(
                f"more than {MAX_VALUES} values, lists and objects among them, are no network",
                pointer,
            )
        named = node.items() if isinstance(node, Mapping) else enumerate(node)
        stack += [(value, f"{pointer}/{key}", depth + 1) for key, value in named]
    # How many there are is not said: it may have more digits than Python writes.
    if _count(document.get("layers")) > MAX_LAYERS:
        raise SpecError(
            f"with repetitions written out these are more than the {MAX_LAYERS} layers that one "
            f"network may have",
            "/layers",
        )


def _count(node: Any) -> int:
    if isinstance(node, list | tuple):
        return sum(_count(child) for child in node)
    if not isinstance(node, Mapping):
        return 0
    times = node.get("times", 1)
    inner = _count(node.get("layers")) + _count(node.get("branches"))
    return 1 + inner * (times if isinstance(times, int) and times > 0 else 1)
