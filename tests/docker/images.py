"""What the images have of Python: the packages that their Dockerfiles install, read from the locks."""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

OURS = {"kernels", "service", "gramd", "client", "tests"}

# A process finds none of the modules in HIDDEN, as if their packages were not installed.
HIDING = '''"""Written by tests/docker/images.py."""
import sys

HIDDEN = {hidden!r}


class Absent:
    """Finds nothing, and for what is not in the image says so."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}: it is not in {image}", name=name)


sys.meta_path.insert(0, Absent)
'''


def lock_of(project: Path, service: Mapping[str, Any]) -> Path:
    """The requirements that a service of compose.yaml is built from, by its Dockerfile's COPY line."""
    build = service["build"]
    dockerfile = (project / build["dockerfile"]).read_text()
    (copied,) = re.findall(r"^COPY (requirements/\S+) /requirements.txt$", dockerfile, re.MULTILINE)
    for name, value in build.get("args", {}).items():
        copied = copied.replace(f"${{{name}}}", value)
    return project / copied


def hidden_modules(lock: Path) -> set[str]:
    """Top-level modules of this environment whose packages a lock does not have."""
    locked = set(re.findall(r"^([a-z0-9][\w.-]*)==", lock.read_text(), re.MULTILINE))
    return {
        module
        for module, packages in packages_distributions().items()
        if not locked & {re.sub(r"[-_.]+", "-", package).lower() for package in packages}
    } - OURS - sys.stdlib_module_names  # fmt: skip


def hide_from(folder: Path, lock: Path) -> None:
    """A sitecustomize.py for a folder on PYTHONPATH: Python then has what the image has."""
    folder.mkdir(parents=True)
    text = HIDING.format(hidden=sorted(hidden_modules(lock)), image=lock.name)
    (folder / "sitecustomize.py").write_text(text)
