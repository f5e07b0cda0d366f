"""docs/layers.md, from the registry: `python -m kernels.reference` writes it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from kernels.architecture import MAX_DEPTH, MAX_LAYERS, MAX_VALUES
from kernels.generated import keep
from kernels.registry import LAYERS, MECHANISMS, mechanisms, vocabulary
from kernels.schema_words import Part, values

COMMAND: Final = "python -m kernels.reference"
FILE: Final = Path(__file__).parent.parent / "docs" / "layers.md"

_HEAD: Final = f"""<!-- Generated from kernels/registry.py; change that, then run: {COMMAND} -->
# Layers

A network is `{{"layers": [LAYER, ...]}}`, and a LAYER is `{{"type": NAME, ...parameters}}`. K and
Theta are the NNGP and the NTK below a layer, K' and Theta' above it; p and q are the variances
K(x, x) and K(x', x') of the two positions, t the angle with cos t = K / sqrt(p q). A network starts
with K = x . x' / channels and Theta = 0. `GET /v1/layers` gives the same with full JSON Schemas.

A position may be masked: K and Theta are zero there after every layer. Activations and `layer_norm`
need a Gaussian input: they follow a `dense`, `conv` or `attention` layer, or a sum of branches that
end in one (pooling, positions and attention with a `residual` in between keep what they were given).

Branches of a `sum` must all but one end in a `dense`, `conv` or `attention` layer, after which pooling,
`dropout` and `layer_norm` may follow. Branches of a `product` must all but one send all that comes in
through such a layer, whatever follows, and all but one have channels that are alike (no `flatten`, no
`concat`). No activation may follow a `product` or `concat` directly. [Mathematics](mathematics.md) says
why.

A network has at most {MAX_LAYERS} layers with repetitions written out (each `repeat` and `parallel` counts as
one more), is nested at most {MAX_DEPTH} deep, and has at most {MAX_VALUES:,} values.
"""

_MECHANISMS: Final = """## Attention mechanisms

From the logits G of one input to its mixing matrix A. A mechanism, or a feature map, may be given by
its name alone: `"l2"` is `{"type": "l2"}` with defaults for all else.
"""


def page() -> str:
    """The text of docs/layers.md."""
    layers = [_section(entry, "##") for entry in vocabulary()]
    below = [_section(entry, "###") for entry in mechanisms()]
    return "\n".join([_HEAD, *layers, _MECHANISMS, *below])


def _section(entry: dict[str, Any], heading: str) -> str:
    schema = entry["schema"]
    if "$ref" in schema:  # a layer that contains layers refers to itself
        schema = schema["$defs"][_named(schema["$ref"])] | {"$defs": schema["$defs"]}
    equation = entry["equation"].replace("; ", "\n")
    lines = [f"{heading} {entry['type']}", "", entry["summary"], "", "```text", equation, "```", ""]
    rows = [
        f"| `{name}` | {_kind(part, schema)} | {_default(name, part, schema)} |"
        for name, part in schema["properties"].items()
        if name != "type"
    ]
    if rows:
        lines += ["| parameter | values | default |", "|---|---|---|", *rows, ""]
    lines.append(f"{entry['exactness'].capitalize()}. Source: {entry['source']}.")
    return "\n".join([*lines, ""])


def _default(name: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", []):
        return "required"
    default = part.get("default")
    if isinstance(default, dict):
        default = default.get("type", default)
    return "-" if default is None else f"`{default}`"


def _kind(part: Part, schema: dict[str, Any]) -> str:
    """A parameter's values in words."""
    return values(part, partial(_nested, schema))


def _nested(schema: dict[str, Any], part: Part) -> str | None:
    """Words for a nested spec, and for what is listed elsewhere on the page."""
    if "$ref" in part:
        return _referred(part["$ref"], schema)
    for union in ("anyOf", "oneOf"):
        members = part.get(union, [])
        # That a name alone will do is said once, above the mechanisms.
        specs = [m for m in members if not ("discriminator" in part and "enum" in m)]
        names = {_named(member["$ref"]) for member in specs if "$ref" in member}
        if specs and len(names) == len(specs) and names <= _listed:
            return "mechanism, below" if names <= _mechanisms else "layer"
        if len(specs) < len(members):
            return _kind({union: specs}, schema)
    return None


def _referred(reference: str, schema: dict[str, Any]) -> str:
    """A nested spec: by the name it has in a document, or with its own parameters."""
    nested = schema["$defs"][_named(reference)]
    properties = dict(nested.get("properties", {}))
    kind = properties.pop("type", {}).get("const")
    if kind and not properties:
        return f"`{kind}`"
    inner = ", ".join(f"{name}: {_kind(part, schema)}" for name, part in properties.items())
    return f"`{kind}` {{{inner}}}" if kind else f"{{{inner}}}"


def _named(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


_mechanisms: Final = {mechanism.__name__ for mechanism in MECHANISMS}
_listed: Final = _mechanisms | {layer.__name__ for layer in LAYERS}


if __name__ == "__main__":
    sys.exit(keep(FILE, page(), COMMAND))
