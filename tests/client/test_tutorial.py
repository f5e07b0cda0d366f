"""The tutorial and the how-tos: their blocks run as they stand, in order, and print what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parents[2] / "client"
STATED = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: Path, url: str, folder: Path) -> int:
    """Run a page's python and bash blocks, compare each with the text block behind it; how many.

    Blocks of sh are for another terminal, or need what a test does not have: they are not run.
    """
    blocks = BLOCK.findall(page.read_text())
    # One program, as a reader has one interpreter; what each block prints ends with a form feed.
    program = "".join(
        f"{code}\nprint(chr(12), end='')\n" for language, code in blocks if language == "python"
    )
    outputs = iter(_printed([sys.executable, "-c", program], folder).split("\f"))
    printed = None
    count = 0
    for language, code in blocks:
        if language == "python":
            printed = next(outputs)
        elif language == "bash":
            printed = in_shell(code.replace(STATED, url), folder)
        elif language == "text":
            assert printed == code, f"{page.name} promises otherwise"
        count += language in ("python", "bash")
    return count


def in_shell(code: str, folder: Path) -> str:
    """What bash prints, with this interpreter as `python`."""
    return _printed(["bash", "-euo", "pipefail", "-c", code], folder)


def _printed(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(CLIENT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _as_in_the_text(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMD_URL", url)


@pytest.mark.skipif(shutil.which("curl") is None, reason="its last part needs curl")
def test_the_tutorial_does_what_it_says(root: Path, url: str, tmp_path: Path) -> None:
    assert follow(root / "docs" / "tutorial.md", url, tmp_path) >= 8


HOW_TOS = sorted((Path(__file__).parents[2] / "docs" / "howto").glob("*.md"))
# Of several processes, or of keys that the tests' own service does not have: shell lines only.
UNRUN = {"workers", "api-keys"}


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_how_tos_do_what_they_say(page: Path, url: str, tmp_path: Path) -> None:
    assert follow(page, url, tmp_path) > 0 or page.stem in UNRUN


def test_the_commands_of_make_exist(root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    for page in pages:
        named = {
            target
            for language, code in BLOCK.findall(page.read_text())
            if language in ("sh", "bash")
            for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)
        }
        assert named <= targets, page.name
