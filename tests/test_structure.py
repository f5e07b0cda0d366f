"""The shape of the code: who may import whom, which process has JAX, how long a file may be."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LONGEST = 300
# Names that say nothing of what is inside.
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
# What a process without JAX may import (kernels/__init__.py says so too).
WITHOUT_JAX = [
    "kernels.errors",
    "kernels.inputs",
    "kernels.compatible",
    "kernels.demand",
    "kernels.registry",
    "kernels.architecture",
    "kernels.plan.tiles",
    "kernels.result",
    "kernels.predict.model",
    "kernels.predict.gradient_flow",
    "kernels.plan.memory",
    "kernels.layers.finite_chain",
    "kernels.finite.lipschitz",
    "service.app",
    "service.contract.openapi",
    "service.processes.supervisor",
    "service.processes.health",
    "gramd",
    "gramd.cli",
]


def sources(root: Path) -> list[Path]:
    folders = ("kernels", "service", "client")
    return [path for folder in folders for path in (root / folder).rglob("*.py")]


def generated(path: Path) -> bool:
    return path.read_text().startswith("# Made from ")


def python(root: Path, code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    environ = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'client'}"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_contracts_hold(root: Path) -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    environ = {**os.environ, "PYTHONPATH": str(root / "client")}
    done = subprocess.run(
        [str(lint), "--no-cache"],
        env=environ,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", WITHOUT_JAX)
def test_what_needs_no_jax_imports_none(root: Path, module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'jax', 'jaxlib'}} & set(sys.modules)))"
    assert python(root, code) == "[]"


def test_the_api_process_has_what_its_image_has(root: Path) -> None:
    code = "import sys, service.app; print(sorted({'scipy', 'matplotlib'} & set(sys.modules)))"
    assert python(root, code) == "[]"


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("service.__main__", {"structlog", "redis", "numpy"}),
        # Until it asks for API keys, when the rest has been started.
        ("service.processes.supervisor", {"redis", "numpy", "pydantic"}),
        ("service.worker.worker", {"fastapi", "scipy"}),
    ],
)
def test_a_start_does_not_wait_for_what_is_needed_later(
    root: Path, module: str, without: set[str]
) -> None:
    assert python(root, f"import sys, {module}; print({without} & set(sys.modules))") == "set()"


def test_what_a_start_imports_is_never_looked_through_for_garbage(root: Path) -> None:
    code = """
import gc
from service.processes.garbage import no_collections
with no_collections():
    import service.settings
    assert not gc.isenabled()
assert gc.isenabled()
print(any(entry is service.settings.Settings for entry in gc.get_objects()))
"""
    assert python(root, code) == "False"


def test_the_api_process_and_its_validation_have_no_jax(root: Path) -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib"):
            raise ImportError(f"the API's image has no {name}")
sys.meta_path.insert(0, Refuse())
import numpy
from kernels.compatible import check_job
from kernels.inputs import read_inputs
from kernels.plan.tiles import plan_tiles
from kernels.registry import vocabulary
from kernels.architecture import parse_architecture
from service.app import create_app
from service.settings import Settings
create_app(Settings()).openapi()
assert vocabulary()
layers = [{"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "flatten"}]
network = parse_architecture({"layers": layers})
inputs = read_inputs(numpy.ones((5, 4, 3)))
check_job(network, inputs, None)
print(len(plan_tiles(network, inputs).tiles))
"""
    assert int(python(root, code)) >= 1


def test_files_are_short(root: Path) -> None:
    written = [path for path in sources(root) if not generated(path)]
    lines = {path.relative_to(root): path.read_text().count("\n") for path in written}
    assert {str(path): count for path, count in lines.items() if count > LONGEST} == {}


def test_modules_are_named_for_what_they_hold(root: Path) -> None:
    parts = {part.removesuffix(".py") for path in sources(root) for part in path.parts}
    assert parts & NAMELESS == set()


def test_every_module_and_public_class_or_function_is_documented(root: Path) -> None:
    missing: list[str] = []
    for path in sources(root):
        tree = ast.parse(path.read_text())
        name = str(path.relative_to(root))
        if not ast.get_docstring(tree) and tree.body:
            missing.append(name)
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        missing += [
            f"{name}: {node.name}"
            for node in tree.body
            if isinstance(node, kinds)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
            and len(node.body) > 2  # a line or two speaks for itself
        ]
    assert missing == []


def test_a_folder_says_what_its_modules_are(root: Path) -> None:
    for package in sorted(root.glob("[ks]er*/*/**/__init__.py")):
        there = {file.name for file in package.parent.glob("*.py")} - {package.name}
        said = ast.get_docstring(ast.parse(package.read_text())) or ""
        listed = set(re.findall(r"(?<![\w/])\w+\.py", said))
        if listed:
            assert listed == there, package.relative_to(root)
