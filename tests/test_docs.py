"""What users and operators need is in the documents: every setting, limit, route and dependency."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from kernels.generated import keep
from kernels.registry import mechanisms, vocabulary
from service.contract import reference
from service.settings import VARIABLES, Settings

# A link is a closing bracket and a path; an equation such as E[f](x, x') is not.
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([\w./-]+)(?:#[\w-]*)?\)")

# A file of the sources in code style, alone or in a folder.
SOURCE = re.compile(r"`((?:\w+/)*\w+\.(?:py|js))`")
SOURCES = (
    "kernels",
    "service",
    "client",
    "tests",
    "benchmarks",
    "docs",
    "examples",
    "requirements",
)

# What a browser fetches for a page, as against what a reader may follow, from another host.
LOADED = re.compile(
    r"""<(?:script|img|iframe|link(?=[^>]*(?:stylesheet|preconnect|icon)))[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"""
)


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


def test_the_api_page_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert keep(reference.FILE, reference.page(), reference.COMMAND, ["--check"]) == 0, (
        capsys.readouterr().out
    )


def test_every_route_and_schema_is_in_the_api_page(root: Path) -> None:
    page = (root / "docs" / "api.md").read_text()
    contract = yaml.safe_load((root / "openapi.yaml").read_text())
    calls = {
        f"### `{method.upper()} {path}`" for path, of in contract["paths"].items() for method in of
    }
    schemas = {f"### {name}" for name in contract["components"]["schemas"]}
    assert sorted((calls | schemas) - set(page.splitlines())) == []


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


def test_the_site_is_built_without_a_warning_or_anything_from_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {
        f"{page.name}: {address}"
        for page in tmp_path.rglob("*.html")
        for address in LOADED.findall(page.read_text())
    }
    assert sorted(loaded) == []
    assert all((tmp_path / name).exists() for name in ("index.html", "SECURITY.html", "api.html"))


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs"]
)
def test_links_between_documents_lead_somewhere(root: Path, page: str) -> None:
    top = root / page
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in ([top] if top.is_file() else sorted(top.rglob("*.md")))
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_files_that_the_documents_name_exist(root: Path) -> None:
    """Whole paths, and the ends of paths that a sentence about their folder leaves: `store/keys.py`."""
    files = [f"/{path.relative_to(root)}" for top in SOURCES for path in (root / top).rglob("*.*")]
    pages = [root / "CONTRIBUTING.md", root / "SECURITY.md", *sorted((root / "docs").glob("*.md"))]
    gone = [
        f"{page.relative_to(root)}: {name}"
        for page in pages
        for name in SOURCE.findall(page.read_text())
        if not any(path.endswith(f"/{name}") for path in files)
    ]
    assert gone == []
