"""The spec builder, gramd/spec/*.py, from the JSON Schemas of the vocabulary: one function a part."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kernels.method import Method
from kernels.predict.model import Model
from kernels.registry import vocabulary

FOLDER = Path(__file__).parent.parent / "gramd" / "spec"
LONGEST_DEFAULT = 4
_SCALARS = {"number": "float", "integer": "int", "boolean": "bool", "string": "str"}
_BOUNDS = (
    ("minimum", ">="),
    ("exclusiveMinimum", ">"),
    ("maximum", "<="),
    ("exclusiveMaximum", "<"),
)
_TITLES = {
    "layers": "The layers of a network, one function each; docs/layers.md has more on every one.",
    "mechanism": "Mechanisms of attention: from the logits of an input to its mixing matrix.",
    "feature_map": "Feature maps of linear attention and of the delta rule.",
    "decay": "How positional kernels fall off with distance.",
    "method": "How kernels are computed: in closed form, nearly so, or by finite networks.",
    "model": "What is made of kernels: the models of a prediction.",
    "diag_reg": "What a model adds to the diagonal of its training kernel.",
}


@dataclass
class Vocabulary:
    """Schemas by the module and name of the function that builds them."""

    definitions: dict[str, Any] = field(default_factory=dict[str, Any])
    modules: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    notes: dict[str, str] = field(default_factory=dict[str, str])

    def read(self) -> Vocabulary:
        """Everything that the registry knows."""
        for entry in vocabulary():
            schema = entry["schema"]
            self.definitions |= schema.get("$defs", {})
            if "$ref" in schema:
                schema = self.definitions[_named(schema["$ref"])]
            self._add("layers", entry["type"], schema)
            self.notes[schema["title"]] = f"{entry['equation']}\n\nSource: {entry['source']}."
        for _, schema in list(self._nested("layers")):
            self._walk(schema)
        unions: dict[str, TypeAdapter[Any]] = {
            "method": TypeAdapter(Method),
            "model": TypeAdapter(Model),
        }
        for module, union in unions.items():
            document = union.json_schema()
            self.definitions |= document["$defs"]
            for option in document["anyOf"]:
                schema = self.definitions[_named(option["$ref"])]
                self._add(module, schema["properties"]["type"]["const"], schema)
                self._walk(schema)
        return self

    def _add(self, module: str, name: str, schema: Any) -> bool:
        known = name in self.modules.setdefault(module, {})
        self.modules[module].setdefault(name, schema)
        return not known

    def _nested(self, module: str) -> Iterator[tuple[str, Any]]:
        yield from self.modules[module].items()

    def _walk(self, schema: Mapping[str, Any]) -> None:
        """Finds what stands inside a part: unions by the parameter's name, single ones as layers."""
        for name, part in schema["properties"].items():
            for option in _options(part):
                if "$ref" not in option or name in ("branches", "layers"):
                    continue
                inner = self.definitions[_named(option["$ref"])]
                kind = inner["properties"].get("type", {}).get("const")
                if self._add(name if kind else "layers", kind or name, inner):
                    self._walk(inner)


def pages(command: str) -> dict[Path, str]:
    """The text of each module."""
    known = Vocabulary().read()
    return {
        FOLDER / f"{module}.py": _page(module, schemas, known, command)
        for module, schemas in known.modules.items()
    }


def _page(module: str, schemas: Mapping[str, Any], known: Vocabulary, command: str) -> str:
    functions = [_function(name, schema, known) for name, schema in schemas.items()]
    body = "\n\n".join(functions)
    typing = [name for name in ("Literal",) if f"{name}[" in body]
    abc = [name for name in ("Sequence",) if f"{name}[" in body]
    names = ("Document", "Given", "builder", "document", "typed")
    given = [name for name in names if name in body]
    lines = [
        f"# Made from kernels/registry.py; change that, then run: {command}",
        f'"""{_TITLES.get(module, module)}"""',
        "",
        "from __future__ import annotations",
        "",
        *([f"from collections.abc import {', '.join(abc)}"] if abc else []),
        *([f"from typing import {', '.join(typing)}"] if typing else []),
        *([""] if abc or typing else []),
        f"from gramd.spec.document import {', '.join(given)}",
        "",
        f"__all__ = {sorted(schemas)!r}",
        "",
        "",
    ]
    return "\n".join(lines) + body


def _function(name: str, schema: Mapping[str, Any], known: Vocabulary) -> str:
    properties = {n: p for n, p in schema["properties"].items() if n != "type"}
    required = [n for n in properties if n in schema.get("required", [])]
    others = {n: _default(p) for n, p in properties.items() if n not in required}
    signature = [f"{n}: {_kind(properties[n])}" for n in required]
    if others:
        signature.append("*")
        for n, default in others.items():
            optional = " | None" if default is None and "None" not in _kind(properties[n]) else ""
            signature.append(f"{n}: {_kind(properties[n])}{optional} = {default!r}")
    kind = schema["properties"].get("type", {}).get("const")
    call = [repr(kind), "{" + ", ".join(f"{n!r}: {n}" for n in required) + "}"]
    call += [f"{n}={_pair(n, properties[n], default)}" for n, default in others.items()]
    return "\n".join(
        [
            "@builder",
            f"def {name}({', '.join(signature)}) -> Document:",
            textwrap.indent(f'"""{_words(schema, properties, known)}"""', "    "),
            f"    return document({', '.join(call)})",
            "",
        ]
    )


def _pair(name: str, part: Mapping[str, Any], default: Any) -> str:
    """The argument and its default, as `document` takes them."""
    if "discriminator" in part:
        return f"(typed({name}), {{'type': {default!r}}})"
    return f"({name}, {default!r})"


def _words(schema: Mapping[str, Any], properties: Mapping[str, Any], known: Vocabulary) -> str:
    """The docstring: what the part is, its equation and source, the range of each parameter."""
    text = schema.get("description", "").strip()
    note = known.notes.get(schema["title"])
    if note:
        equation, _, source = note.partition("\n\n")
        text += "\n\n" + _filled(equation.replace("; ", ";\n")) + "\n\n" + _filled(source)
    ranges = [
        f"    {name}: {limits}." for name, part in properties.items() if (limits := _limits(part))
    ]
    if ranges:
        text += "\n\nRanges:\n" + "\n".join(ranges)
    return text.replace("\\", "\\\\") + ("\n" if "\n" in text else "")


def _filled(text: str) -> str:
    return "\n".join(textwrap.fill(line, 92, subsequent_indent="  ") for line in text.splitlines())


def _kind(part: Mapping[str, Any]) -> str:
    """A parameter's type."""
    options = _options(part)
    if "discriminator" in part:
        number = "float | " if any(option.get("type") == "number" for option in options) else ""
        return f"{number}Given | Literal{sorted(part['discriminator']['mapping'])!r}"
    if len(options) > 1:
        return " | ".join(dict.fromkeys(_kind(option) for option in options))
    if "$ref" in part:
        return "Given"
    if "enum" in part:
        return f"Literal{part['enum']!r}"
    if "const" in part:
        return f"Literal[{part['const']!r}]"
    if part.get("type") == "array":
        inner = part["items"]
        return f"Sequence[{'Given' if 'oneOf' in inner else _kind(inner)}]"
    if part.get("type") == "null":
        return "None"
    return _SCALARS[part["type"]]


def _default(part: Mapping[str, Any]) -> Any:
    """What a signature shows: the name alone of a part that has its own defaults, and None, which
    leaves it to the service, for a long list."""
    default = part["default"]
    if isinstance(default, dict):
        return default["type"]
    if isinstance(default, list):
        return tuple(default) if len(default) <= LONGEST_DEFAULT else None
    return default


def _limits(part: Mapping[str, Any]) -> str:
    found = [
        " ".join(f"{sign} {option[key]}" for key, sign in _BOUNDS if key in option)
        for option in _options(part)
    ]
    return " or ".join(limit for limit in found if limit).replace(" <", ", <")


def _options(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return part.get("anyOf") or part.get("oneOf") or [part]


def _named(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]
