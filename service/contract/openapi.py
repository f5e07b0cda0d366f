"""openapi.yaml: written from the application, and checked against it.

    python -m service.contract.openapi            writes openapi.yaml
    python -m service.contract.openapi --check    prints what differs and the command that mends it; exit 1

Routes read their own bodies (service.http.bodies), so FastAPI does not see them. Each route says in
`openapi_extra` what it reads and answers, by these keys, which `describe_api` turns into OpenAPI:

    x-problems          statuses whose response is a problem document
    x-body              media type -> schema name, or part -> schema name; "npy?" is optional
    x-responses         media type -> schema name of the 200, where it is not the model's JSON
    x-headers           status -> headers of that response, described in HEADERS
    x-request-headers   headers that change the response, described in HEADERS
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from kernels.generated import keep
from service.contract.schemas import completed
from service.http.bodies import FORM
from service.http.problems import MEDIA_TYPE

FILE = Path(__file__).resolve().parents[2] / "openapi.yaml"
COMMAND = "python -m service.contract.openapi"
# Of the contract, not of the software: what a client may rely on.
CONTRACT_VERSION = "1.0"

HEADERS = {
    "Location": "path of the resource",
    "Retry-After": "seconds to wait before asking again",
    "Preference-Applied": "the preference that was followed",
    "Content-Length": "bytes of the body, known before the first is sent",
    "X-Gramd-Shape": "rows,columns of what is sent",
    "X-Gramd-Dtype": "f4 or f8, little-endian",
    "Vary": "Accept",
    "WWW-Authenticate": "`Bearer`: how to send a key (RFC 6750)",
    "ETag": "equal for equal bytes: for If-None-Match, If-Match and If-Range",
    "Accept-Ranges": "`bytes` where Range is known",
    "Content-Range": "which bytes of how many",
    "If-None-Match": "ETags that the client has: 304 instead of the same bytes",
    "If-Match": "ETags of which it must have one: 412 where it has become something else",
    "Range": "`bytes=a-b`, `bytes=a-` or `bytes=-n`: a part of `.npy` or bare bytes, answered with 206",
    "If-Range": "an ETag: Range counts only while it is the same",
    "Allow": "methods known at this path",
    "X-Request-Id": (
        "the request's id: its own X-Request-Id if it sent one, else a new one; in every log line"
        " and error"
    ),
    "Prefer": (
        "`wait=N`: answer when the job has ended, or after N seconds (at most max_wait_s of GET"
        " /v1/limits)"
    ),
    "Content-Digest": "RFC 9530: `sha-256=:base64 of the digest:` of the body as it is sent",
    "Idempotency-Key": (
        "a name for this request, for instance a UUID: however often it is sent, one resource is made;"
        " with another body it is refused"
    ),
    "Last-Event-ID": "the id of the last event that the client has seen",
    "Accept": "`application/x-npy` (default), `application/octet-stream` or `application/json`",
}

# Problems that any route can answer, and the headers that go with some.
ALWAYS = (405, 500, 503)
# And those of any route that asks for a key.
BEHIND_THE_GATE = (401, 403, 429)
HEADERS_OF = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    409: ("Retry-After",),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "an API key, made by the service's operator; each belongs to one tenant",
}

# A service where no key was ever made asks for none.
EITHER: list[dict[str, list[str]]] = [{"key": []}, {}]

DESCRIPTION = """\
Exact NNGP and NTK matrices of infinitely wide networks, attention included: POST
an architecture and inputs, fetch the matrices.

Arrays travel as `.npy` (format 1.0 or 2.0; bool, integer and floating dtypes, either byte order, C
or Fortran order), small ones as nested lists. JSON is UTF-8; unknown fields, names that occur twice
in one object, NaN and Infinity are refused. Every error is an RFC 9457 problem document whose
`pointer` leads to what was wrong and whose `limit` and `limit_name` say which limit was hit. Send `X-Request-Id`
to find a request in the logs.
"""


def describe_api(app: FastAPI) -> None:
    """Make `app.openapi()`, and with it GET /openapi.json, the whole contract."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="gramd",
        version=CONTRACT_VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
    )
    components: dict[str, Any] = document.setdefault("components", {})
    components["schemas"] = completed(components.get("schemas", {}))
    document["components"]["securitySchemes"] = {"key": SECURITY}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    statuses = {status for operation in operations for status in operation.get("x-problems", [])}
    document["components"]["responses"] = {
        _response_name(status): _problem(status)
        for status in sorted({*statuses, *ALWAYS, *BEHIND_THE_GATE})
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _complete(operation, needs_key=path.startswith("/v1/") and "{token}" not in path)
    document["paths"]["/metrics"]["get"]["security"] = EITHER
    return document


def _complete(operation: dict[str, Any], *, needs_key: bool) -> None:
    """One operation: FastAPI's part of it and the route's own keys, made one."""
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    if "x-responses" in operation:
        schemas = operation.pop("x-responses").items()
        for status in {"200", "206"} & set(responses):
            # A range is a piece of the bytes, of whichever kind they are.
            responses[status]["content"] = {
                media: {"schema": _schema(name if status == "200" else "range")}
                for media, name in schemas
                if status == "200" or media != "application/json"
            }
    for status, names in operation.pop("x-headers", {}).items():
        responses[status]["headers"] = {name: _header(name) for name in names}
    for response in responses.values():
        response["headers"] = {
            **response.get("headers", {}),
            "X-Request-Id": _header("X-Request-Id"),
        }
    gate = BEHIND_THE_GATE if needs_key else ()
    if needs_key:
        operation["security"] = EITHER
    for status in [*operation.pop("x-problems", []), *ALWAYS, *gate]:
        responses[str(status)] = {"$ref": f"#/components/responses/{_response_name(status)}"}
    operation["responses"] = dict(sorted(responses.items()))
    if "x-body" in operation:
        content = {media: _media(media, body) for media, body in operation.pop("x-body").items()}
        operation["requestBody"] = {"required": True, "content": content}
    names = [*operation.pop("x-request-headers", []), "X-Request-Id"]
    # Accept is described, not declared: OpenAPI 3.1 says that a parameter of this name is ignored.
    declared = [
        {"name": name, "in": "header", **_header(name)} for name in names if name != "Accept"
    ]
    if "Accept" in names:
        operation["description"] += f"\n\nAccept: {HEADERS['Accept']}."
    operation["parameters"] = [*operation.get("parameters", []), *declared]


def _media(media: str, body: str | Mapping[str, str]) -> dict[str, Any]:
    if media != FORM:
        assert isinstance(body, str), "only forms have parts"
        return {"schema": _schema(body)}
    assert not isinstance(body, str), "forms have parts"
    parts = {name: _schema(schema.removesuffix("?")) for name, schema in body.items()}
    required = [name for name, schema in body.items() if not schema.endswith("?")]
    types = {
        name: {
            "contentType": "application/x-npy" if schema.startswith("npy") else "application/json"
        }
        for name, schema in body.items()
    }
    schema = {
        "type": "object",
        "properties": parts,
        "required": required,
        "additionalProperties": False,
    }
    return {"schema": schema, "encoding": types}


def _schema(name: str) -> dict[str, Any]:
    if name == "npy":
        return {"type": "string", "format": "binary", "description": "a .npy file (numpy.save)"}
    if name == "metrics":
        return {"type": "string", "description": "Prometheus's text format"}
    if name == "range":
        return {"type": "string", "format": "binary", "description": "the bytes of the range"}
    if name == "object":
        return {"type": "object", "description": "a document of Zarr v3"}
    if name == "events":
        return {"type": "string", "description": "Server-Sent Events: id, event, data (JSON)"}
    if name == "png":
        return {"type": "string", "format": "binary", "description": "a PNG image"}
    if name == "octets":
        return {
            "type": "string",
            "format": "binary",
            "description": "little-endian elements, row after row",
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _header(name: str) -> dict[str, Any]:
    kind = "integer" if name in ("Retry-After", "Content-Length") else "string"
    return {"description": HEADERS[name], "schema": {"type": kind}}


def _response_name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _problem(status: int) -> dict[str, Any]:
    """The response of one status, whose body is a problem document."""
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: _header(name) for name in (*HEADERS_OF.get(status, ()), "X-Request-Id")},
        "content": {MEDIA_TYPE: {"schema": _schema("ProblemDocument")}},
    }


def document() -> dict[str, Any]:
    """The contract of an application with default settings."""
    from service.app import create_app
    from service.settings import Settings

    return create_app(Settings()).openapi()


def text() -> str:
    """openapi.yaml as it must be."""
    # The API's image has no YAML: only this command writes it.
    import yaml

    body = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated from the code; change that, then run: {COMMAND}\n{body}"


def main(arguments: list[str] | None = None, file: Path = FILE) -> int:
    """The command line; 1 when --check finds a difference."""
    return keep(file, text(), COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
