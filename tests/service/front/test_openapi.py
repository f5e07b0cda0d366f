"""openapi.yaml is what the application does: generated, complete, and its examples work."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from service.app import create_app
from service.contract import openapi
from service.contract.examples import EXAMPLES
from service.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def test_the_file_is_up_to_date(capsys):
    assert openapi.main(["--check"]) == 0, capsys.readouterr().out


def test_drift_is_caught_and_the_command_named(tmp_path, capsys):
    file = tmp_path / "openapi.yaml"
    assert openapi.main(["--check"], file) == 1
    assert openapi.main([], file) == 0
    assert openapi.main(["--check"], file) == 0
    file.write_text(file.read_text().replace("/v1/kernels", "/v1/grams"))
    capsys.readouterr()
    assert openapi.main(["--check"], file) == 1
    out = capsys.readouterr().out
    assert "+  /v1/kernels:" in out
    assert out.splitlines()[-1].endswith("python -m service.contract.openapi")


def test_it_is_openapi_3_1_and_its_examples_are_what_its_schemas_say(document):
    OPENAPI_31_VALIDATOR.validate(document)
    for name, example in EXAMPLES.items():
        about = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(about).validate(example)


def test_every_reference_leads_somewhere(document):
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        if isinstance(value, list):
            return [ref for inner in value for ref in references(inner)]
        return []

    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_field_is_described(document):
    fields = [
        (name, field, part)
        for name, schema in document["components"]["schemas"].items()
        for field, part in schema.get("properties", {}).items()
    ]
    assert len(fields) > 150
    assert [(name, field) for name, field, part in fields if not part.get("description")] == []
    # Words for readers, not the docstring of a class.
    assert [(name, field) for name, field, part in fields if "Attributes:" in str(part)] == []


def test_nothing_of_the_generators_is_left(document):
    text = json.dumps(document)
    assert '"x-' not in text.lower().replace('"x-gramd', "").replace('"x-request-id', "")
    assert "HTTPValidationError" not in text


def test_every_operation_is_complete(document):
    names = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            names.append(operation["operationId"])
            assert operation["summary"], where
            assert operation["description"], where
            assert {"405", "500", "503"} <= set(operation["responses"]), where
            reads = method in ("post", "put", "patch") and not path.endswith("/zarr")
            assert ("requestBody" in operation) == reads, where
            assert all("description" in parameter for parameter in operation["parameters"]), where
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("KernelBody", "/v1/kernels"),
        ("PredictionBody", "/v1/predictions"),
        ("ArchitectureBody", "/v1/architectures"),
        ("BoundsBody", "/v1/bounds"),
        ("OpenDatasetBody", "/v1/datasets"),
    ],
)
async def test_the_examples_are_accepted(client, name, path):
    response = await client.post(path, json=EXAMPLES[name])
    assert response.status_code in (200, 201, 202), response.text


async def test_the_application_serves_its_own_document(client):
    served = (await client.get("/openapi.json")).json()
    assert served == yaml.safe_load(openapi.FILE.read_text(encoding="utf-8"))


def test_the_api_process_never_imports_jax():
    code = (
        "import sys; from service.app import create_app; from service.settings import Settings; "
        "create_app(Settings()).openapi(); sys.exit(bool({'jax', 'jaxlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
