"""docs/client.md: its Python, R and JavaScript run as they stand; its Julia sends what curl sends here."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.matrix import kernel_matrix

HERE = "http://127.0.0.1:8000"
PLAIN = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
R_PACKAGES = ("httr2", "jsonlite")


def blocks(root: Path, language: str) -> list[str]:
    """The lines of one language, block by block."""
    page = (root / "docs" / "client.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs(root: Path, url: str) -> None:
    program = "\n".join(blocks(root, "python"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(root / "client"), "GRAMD_URL": url, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("(40, 40) float32")
    assert lines[1:3] == ["(8, 40)", "succeeded (3, 3)"]
    assert lines[3].startswith("{'total': 1, ")
    condition, jitter = map(float, lines[4].split())
    assert condition > 1 > jitter >= 0
    assert lines[5:7] == ["(43, 43)", "(10,) True"]
    assert lines[7].startswith("/architecture/layers/0/w_std | ")
    assert lines[8].startswith("True {")


def printed(command: list[str], folder: Path) -> dict[str, Any]:
    """The JSON that a program prints on its last line."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_lines_of_r_run(root: Path, url: str, tmp_path: Path) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("needs R (Debian: r-base-core, r-cran-httr2, r-cran-jsonlite)")
    there = "".join(f"stopifnot(requireNamespace('{name}'));" for name in R_PACKAGES)
    if subprocess.run(["Rscript", "-e", there], capture_output=True, check=False).returncode:
        pytest.skip(f"needs the R packages {', '.join(R_PACKAGES)}")
    (program,) = blocks(root, "r")
    report = "\ncat(jsonlite::toJSON(list(x = x, ntk = ntk$data), digits = NA))\n"
    file = tmp_path / "lines.R"
    file.write_text(program.replace(HERE, url) + report)
    found = printed(["Rscript", str(file)], tmp_path)
    expected = kernel_matrix(PLAIN, np.array(found["x"]))["ntk"]
    np.testing.assert_allclose(np.array(found["ntk"], np.float32), expected, rtol=1e-6)


def test_the_lines_of_javascript_run(root: Path, url: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    asked = "process.exit(typeof fetch === 'function' ? 0 : 1)"
    if node is None or subprocess.run([node, "-e", asked], check=False).returncode:
        pytest.skip("needs Node 18 or newer")
    (program,) = blocks(root, "js")
    file = tmp_path / "lines.mjs"
    report = "\nconsole.log(JSON.stringify({ x, ntk: Array.from(ntk) }));\n"
    file.write_text(program.replace(HERE, url) + report)
    found = printed([node, str(file)], tmp_path)
    expected = kernel_matrix(PLAIN, np.array(found["x"]))["ntk"]
    np.testing.assert_array_equal(np.array(found["ntk"], np.float32).reshape(10, 10), expected)


def test_the_lines_of_julia_run(root: Path, url: str, tmp_path: Path) -> None:
    there = "using HTTP, JSON, NPZ"
    julia = shutil.which("julia")
    if (
        julia is None
        or subprocess.run([julia, "-e", there], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs Julia with HTTP, JSON and NPZ")
    (program,) = blocks(root, "julia")
    file = tmp_path / "lines.jl"
    file.write_text(program.replace(HERE, url) + '\nnpzwrite("ntk.npy", ntk)\n')
    subprocess.run([julia, str(file)], cwd=tmp_path, check=True)
    expected = kernel_matrix(PLAIN, np.load(tmp_path / "x.npy"))["ntk"]
    np.testing.assert_array_equal(np.load(tmp_path / "ntk.npy"), expected)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_requests_of_julia_are_answered(url: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(10, 4))

    def curl(*arguments: str) -> bytes:
        line = ["curl", "-sSf", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, check=True).stdout

    # A field and a file; NPZ.jl writes column-major.
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    request = json.dumps({"architecture": PLAIN})
    form = ("-F", f"request={request}", "-F", "x1=@x.npy;type=application/octet-stream")
    job = json.loads(curl(f"{url}/v1/kernels", "-H", "Prefer: wait=60", *form))
    found = np.load(io.BytesIO(curl(url + job["links"]["ntk"])))
    np.testing.assert_array_equal(found, kernel_matrix(PLAIN, x)["ntk"])
