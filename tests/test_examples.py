"""The examples of docs/gallery.md run, at a smaller size, and draw their pictures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = {
    "lipschitz/l2_attention.py": (["--longest", "4"], r"\| two \| 4 \| [0-9.]+ \| 6\.828 \|"),
    "invertible_attention/reconstruct.py": ([], r"\| dot product \| scale 100 \| 0\.9 \| no \|"),
    "favor/error.py": (["--most", "64"], r"\| positive, orthogonal \| 0\."),
    "retrieval/capacity.py": (["--steps", "100", "--most", "20"], r"\| DPFP-3 \| 0\.0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES)
def test_an_example_runs(root: Path, tmp_path: Path, script: str) -> None:
    options, expected = EXAMPLES[script]
    picture = tmp_path / "made" / "picture.png"
    command = [sys.executable, str(root / "examples" / script), "--plot", str(picture), *options]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, env=environ, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_gallery_names_every_example_and_picture(root: Path) -> None:
    gallery = (root / "docs" / "gallery.md").read_text()
    line = re.compile(r"^(example-\w+):.*\n\t@\S+ (examples/\S+)", re.MULTILINE)
    targets = line.findall((root / "Makefile").read_text())
    assert len(targets) >= len(EXAMPLES)
    for target, script in targets:
        assert f"`make {target}`" in gallery, target
        (picture,) = set(re.findall(r"docs/(images/\w+\.png)", (root / script).read_text()))
        assert f"({picture})" in gallery
        assert (root / "docs" / picture).exists()
