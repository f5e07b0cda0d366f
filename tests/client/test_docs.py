"""docs/client.md: its Python runs as it stands; its R and Julia send what curl sends here."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.matrix import kernel_matrix

from .conftest import DENSE

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs(root: Path, url: str) -> None:
    program = "\n".join(BLOCK.findall((root / "docs" / "client.md").read_text()))
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


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_requests_of_r_and_julia_are_answered(url: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(10, 4))

    def curl(*arguments: str) -> bytes:
        line = ["curl", "-sSf", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, check=True).stdout

    expected = kernel_matrix(DENSE, x)["ntk"]
    # R: everything is JSON.
    (tmp_path / "r.json").write_text(json.dumps({"architecture": DENSE, "x1": x.tolist()}))
    kind = "Content-Type: application/json"
    job = json.loads(
        curl(f"{url}/v1/kernels", "-H", "Prefer: wait=60", "-H", kind, "-d", "@r.json")
    )
    answer = curl(url + job["links"]["ntk"], "-H", "Accept: application/json")
    found = np.array(json.loads(answer)["data"], np.float32)
    np.testing.assert_array_equal(found, expected)
    # Julia: a field and a file; NPZ.jl writes column-major.
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    request = json.dumps({"architecture": DENSE})
    form = ("-F", f"request={request}", "-F", "x1=@x.npy;type=application/x-npy")
    job = json.loads(curl(f"{url}/v1/kernels", "-H", "Prefer: wait=60", *form))
    found = np.load(io.BytesIO(curl(url + job["links"]["ntk"])))
    np.testing.assert_array_equal(found, expected)
