"""docs/api.md, from the same document as openapi.yaml: `python -m service.contract.reference` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from kernels.generated import keep
from kernels.schema_words import Part, values
from service.contract.openapi import ALWAYS, BEHIND_THE_GATE, document

COMMAND: Final = "python -m service.contract.reference"
FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "api.md"

_HEAD: Final = """<!-- Generated from the code; change that, then run: {command} -->

# The REST API

{description}
A running service answers its own contract at `GET /openapi.json`, the same as `openapi.yaml` of the
source. [Jobs](jobs.md) shows the calls at work, with curl; [layers](layers.md) has what may stand in
an architecture. Requests below `/v1` carry `Authorization: Bearer KEY` once the service has keys.

Any call may also be answered with one of {always}; below `/v1`, with one of {gate}.
"""

_FIRST: Final = ("kernels", "results", "datasets", "predictions", "architectures", "vocabulary")


def page() -> str:
    """The text of docs/api.md."""
    contract = document()
    calls = [
        (f"{method.upper()} {path}", operation)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    ]
    known = {operation["tags"][0] for _, operation in calls}
    tags = [*(tag for tag in _FIRST if tag in known), *sorted(known - set(_FIRST))]
    head = _HEAD.format(
        command=COMMAND,
        description=contract["info"]["description"],
        always=_statuses(ALWAYS),
        gate=_statuses(BEHIND_THE_GATE),
    )
    lines = [head, "| call | |", "|---|---|"]
    for tag in tags:
        lines += [
            f"| [`{call}`](#call-{operation['operationId']}) | {operation['summary']} |"
            for call, operation in calls
            if operation["tags"][0] == tag
        ]
    for tag in tags:
        lines += ["", f"## {tag.capitalize()}"]
        for call, operation in calls:
            if operation["tags"][0] == tag:
                lines += _operation(call, operation)
    lines += ["", "## Schemas"]
    for name, schema in contract["components"]["schemas"].items():
        lines += _schema(name, schema)
    return "\n".join(lines) + "\n"


def _operation(call: str, operation: Part) -> Iterator[str]:
    # A heading's own words make a poor anchor: braces and slashes go, and calls collide.
    yield from ("", f'<a id="call-{operation["operationId"]}"></a>', "", f"### `{call}`", "")
    yield f"**{operation['summary']}.** {operation.get('description', '')}"
    parameters = [part for part in operation["parameters"] if part["name"] != "X-Request-Id"]
    if parameters:
        yield from ("", "| parameter | in | values | |", "|---|---|---|---|")
        for part in parameters:
            schema = part["schema"]
            said = part.get("description") or schema.get("description", "")
            yield f"| `{part['name']}` | {part['in']} | {_values(schema)} | {_cell(said)} |"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from ("", f"Body, `{media}`: {_body(content['schema'])}.")
    yield from ("", "| answer | |", "|---|---|")
    problems: list[int] = []
    for status, response in operation["responses"].items():
        if "$ref" in response:
            problems.append(int(status))
            continue
        kinds = [
            f"`{media}`: {_body(content['schema'])}"
            for media, content in response.get("content", {}).items()
        ]
        headers = [f"`{name}`" for name in response.get("headers", {}) if name != "X-Request-Id"]
        description = response["description"]
        said = [] if description == "Successful Response" else [description]
        told = [*said, *kinds, *([f"headers {', '.join(headers)}"] if headers else [])]
        yield f"| {status} | {'; '.join(told)} |"
    # Those of every call, and of every call below /v1, are named once, at the top of the page.
    own = [status for status in problems if status not in (*ALWAYS, *BEHIND_THE_GATE)]
    if own:
        yield f"| a [problem](#problemdocument) | {_statuses(own)} |"


def _schema(name: str, schema: Part) -> Iterator[str]:
    yield from ("", f"### {name}", "")
    yield str(schema.get("description", ""))
    properties = schema.get("properties", {})
    if not properties:
        return
    yield from ("", "| field | values | default | |", "|---|---|---|---|")
    required = schema.get("required", [])
    for field, part in properties.items():
        default = "required" if field in required else _default(part)
        yield f"| `{field}` | {_values(part)} | {default} | {_cell(part['description'])} |"


def _default(part: Part) -> str:
    default = part.get("default")
    if isinstance(default, dict):
        default = default.get("type", default)
    if isinstance(default, list):
        default = ", ".join(map(str, default))
    return "" if default in (None, "") else f"`{default}`"


def _body(schema: Part) -> str:
    """What a body is, in a few words."""
    if "properties" not in schema:
        return _values(schema) if "$ref" in schema else schema.get("description", _values(schema))
    required = schema.get("required", [])
    return "parts " + ", ".join(
        f"`{name}` ({_body(part)}{'' if name in required else '; optional'})"
        for name, part in schema["properties"].items()
    )


def _values(part: Part) -> str:
    """What a value may be, in words."""
    return values(part, _link)


def _link(part: Part) -> str | None:
    if "$ref" not in part:
        return None
    name = part["$ref"].rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def _statuses(statuses: tuple[int, ...] | list[int]) -> str:
    return ", ".join(f"{status} {HTTPStatus(status).phrase}" for status in statuses)


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(keep(FILE, page(), COMMAND))
