"""Files that are generated from the code: written, or checked against what the code says now."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path


def keep(file: Path, wanted: str, command: str, arguments: Sequence[str] | None = None) -> int:
    """The command line of a generated file: writes it, or with --check prints how it differs.

    Args:
        file: where it is.
        wanted: its text as it must be.
        command: what a person types to write it, named where the check fails.
        arguments: the command line; the process's own by default.

    Returns:
        the exit code: 1 when --check finds a difference.
    """
    parser = argparse.ArgumentParser(prog=command, description=f"Write {file.name}, or check it.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; print the difference, exit 1 if any"
    )
    options = parser.parse_args(arguments)
    if not options.check:
        file.write_text(wanted, encoding="utf-8")
        return 0
    found = file.read_text(encoding="utf-8") if file.exists() else ""
    if found == wanted:
        return 0
    difference = difflib.unified_diff(
        found.splitlines(keepends=True), wanted.splitlines(keepends=True), file.name, "the code"
    )
    sys.stdout.writelines(difference)
    sys.stdout.write(f"{file.name} is not what the code says; to mend it, run: {command}\n")
    return 1
