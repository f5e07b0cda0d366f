"""`python -m client.generate` writes what the client has from elsewhere; with --check it compares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from client.generate import async_client, spec
from kernels.generated import keep

COMMAND = "python -m client.generate"


def formatted(file: Path, text: str) -> str:
    """The text as `make format` would leave it: imports sorted, then laid out."""
    ruff = str(Path(sys.executable).parent / "ruff")
    for command in (["check", "--fix", "--quiet", "--select", "I"], ["format"]):
        done = subprocess.run(
            [ruff, *command, "--stdin-filename", str(file), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


def main() -> int:
    """The exit code: 1 when --check finds a difference."""
    pages = spec.pages(COMMAND) | async_client.pages(COMMAND)
    return max(keep(file, formatted(file, text), COMMAND) for file, text in pages.items())


if __name__ == "__main__":
    sys.exit(main())
