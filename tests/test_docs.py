"""What users and operators need is in the documents: every setting, limit, route and dependency."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from kernels.registry import mechanisms, vocabulary
from service.settings import VARIABLES, Settings

# A link is a closing bracket and a path; an equation such as E[f](x, x') is not.
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([\w./-]+)(?:#[\w-]*)?\)")


def test_every_setting_is_in_the_operations_page(root: Path) -> None:
    page = (root / "docs" / "operations.md").read_text()
    wanted = {"REDIS_URL", "TILES_URL", *VARIABLES.values()}
    assert sorted(name for name in wanted if f"`{name}`" not in page) == []


def test_the_operations_page_names_no_setting_that_is_gone(root: Path) -> None:
    page = (root / "docs" / "operations.md").read_text()
    assert sorted(set(re.findall(r"`(GRAMD_\w+)`", page)) - set(VARIABLES.values())) == []


def test_the_defaults_of_the_operations_page_are_those_of_the_code(root: Path) -> None:
    page = (root / "docs" / "operations.md").read_text()
    stated = dict(re.findall(r"^\| `(GRAMD_\w+)` \| ([\w.]+) \|", page, re.MULTILINE))
    settings = Settings()
    for field, variable in VARIABLES.items():
        value = getattr(settings, field)
        if field in ("data_dir", "compile_dir", "results_url"):
            continue
        seconds = getattr(value, "total_seconds", None)
        expected = (
            f"{seconds():g}" if seconds else str(int(value) if isinstance(value, bool) else value)
        )
        if seconds and float(expected) != seconds():
            expected = str(int(seconds()))
        assert stated.get(variable) == expected, f"docs/operations.md, {variable}"


def test_every_route_is_in_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text()
    paths = yaml.safe_load((root / "openapi.yaml").read_text())["paths"]
    # `{id}` whatever the code calls it; the README names the results one by one.
    first = {"kernels": "nngp", "predictions": "mean"}
    named = {
        path.replace("{output}", first[path.split("/")[2]]) if "{output}" in path else path
        for path in paths
    }
    plain = {re.sub(r"\{\w+_id\}", "{id}", path) for path in named}
    assert sorted(path for path in plain if path not in readme) == []


def test_every_layer_and_mechanism_is_in_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text()
    table = readme[readme.index("| layers | |") : readme.index("[docs/layers.md]")]
    known = {entry["type"] for entry in [*vocabulary(), *mechanisms()]}
    assert sorted(name for name in known - {"attention"} if f"`{name}`" not in table) == []


def test_every_dependency_has_a_reason(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[<>=;]", item)[0] for group in groups for item in group}
    page = (root / "docs" / "dependencies.md").read_text()
    words = set(re.findall(r"[\w-]+", page))
    assert sorted(names - {"gramd-server"} - words) == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"])
def test_links_between_documents_lead_somewhere(root: Path, page: str) -> None:
    top = root / page
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in ([top] if top.is_file() else sorted(top.rglob("*.md")))
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
