"""The shell lines of the README and of docs/jobs.md, run as they stand against a real service."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kernels.matrix import kernel_matrix

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None,
    reason="the lines need curl and bash",
)

STATED = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def service_url(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`make serve`'s command on a free port, until the tests are done."""
    folder = tmp_path_factory.mktemp("readme")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while b"gramd listens on" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def session(root: Path, service_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all bash blocks of both ran in, one shell, in their order."""
    folder = tmp_path_factory.mktemp("session")
    pages = (root / "README.md", root / "docs" / "jobs.md")
    blocks = [block for page in pages for block in BLOCK.findall(page.read_text())]
    assert len(blocks) >= 7
    activate = folder / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    script = "set -euo pipefail\n" + "\n".join(blocks).replace(STATED, service_url)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root / "client"), "GRAMD_URL": service_url},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    (folder / "printed").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_fetched_matrices_are_those_of_kernel_matrix(session: Path) -> None:
    network = json.loads((session / "request.json").read_text())["architecture"]
    x1, x2 = np.load(session / "x1.npy"), np.load(session / "x2.npy")
    expected = kernel_matrix(network, x1, x2, dtype="float32")
    for name in ("nngp", "ntk"):
        found = np.load(session / f"{name}.npy")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected[name])


def test_the_dataset_job_is_the_symmetric_matrix(session: Path) -> None:
    layers = [{"type": "dense"}, {"type": "relu"}, {"type": "flatten"}, {"type": "dense"}]
    x1 = np.load(session / "x1.npy")
    expected = kernel_matrix({"layers": layers}, x1, dtype="float64")["nngp"]
    found = np.load(session / "gram.npy")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, found.T)


def test_a_slice_is_a_slice(session: Path) -> None:
    np.testing.assert_array_equal(np.load(session / "rows.npy"), np.load(session / "nngp.npy")[:10])


def test_the_prediction_is_the_posterior_mean(session: Path) -> None:
    prediction = json.loads((session / "prediction.json").read_text())
    x1, x2, y = (np.load(session / f"{name}.npy") for name in ("x1", "x2", "y1"))
    layers = [{"type": "dense"}, {"type": "relu"}, {"type": "flatten"}, {"type": "dense"}]
    whole = np.concatenate([x1, x2])
    kernel = kernel_matrix({"layers": layers}, whole, dtype="float64")["nngp"]
    train = kernel[:40, :40] + prediction["receipt"]["diag_reg"]["value"] * np.eye(40)
    expected = kernel[40:, :40] @ np.linalg.solve(train, y)
    np.testing.assert_allclose(np.load(session / "mean.npy"), expected, rtol=1e-8, atol=1e-12)


def test_what_is_printed_tells_the_story(session: Path) -> None:
    printed = (session / "printed").read_text()
    assert '"state": "succeeded"' in printed
    assert "(40, 25) float32" in printed
    assert "client: (40, 25) (40, 25)" in printed
    assert "/architecture/layers/0/w_std" in printed
    assert "event: state" in printed


def test_the_lines_of_python_run(root: Path) -> None:
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(40, 40) (40, 40)\n"
