"""The command `gramd`, from files to files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gramd
from gramd import cli
from kernels.matrix import kernel_matrix

from .conftest import ATTENTION, DENSE

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 5, 3))
MASK = np.arange(5) < np.array([5, 4, 3, 2, 5, 1])[:, None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> Path:
    """A working directory with networks and arrays; the service is where GRAMD_URL says."""
    (tmp_path / "attention.json").write_text(json.dumps(ATTENTION))
    (tmp_path / "dense.json").write_text(json.dumps(DENSE))
    for name, values in {"x": X, "mask": MASK, "new": X[:2], "v": X[:, 0], "y": X[:, 0, 0]}.items():
        np.save(tmp_path / f"{name}.npy", values)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAMD_URL", url)
    return tmp_path


def test_a_kernel_into_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = "kernel attention.json x.npy new.npy --mask mask.npy -o k.npz --dtype float64"
    assert cli.main(line.split()) == 0
    expected = kernel_matrix(ATTENTION, X, X[:2], mask1=MASK, dtype="float64")
    with np.load(folder / "k.npz") as found:
        np.testing.assert_array_equal(found["ntk"], expected["ntk"])
        assert json.loads(str(found["receipt"]))["dtype"] == "float64"
        assert json.loads(str(found["network"])) == ATTENTION
    assert capfd.readouterr() == ("", ""), "no progress where no terminal is"
    assert (
        cli.main(["kernel", "attention.json", "x.npy", "--outputs", "ntk", "--output", "k.npy"])
        == 0
    )
    assert np.load(folder / "k.npy").shape == (6, 6)


def test_a_prediction_into_a_file(folder: Path) -> None:
    line = ["predict", "dense.json", "v.npy", "y.npy", "v.npy", "--output", "p.npz"]
    model = '{"type": "gaussian_process", "diag_reg": {"type": "relative", "value": 1e-6}}'
    assert cli.main([*line, "--outputs", "mean,variance", "--model", model]) == 0
    with np.load(folder / "p.npz") as found:
        np.testing.assert_allclose(found["mean"], X[:, 0, 0], atol=1e-2)
        assert found["variance"].shape == (6,)
        assert json.loads(str(found["network"])) == DENSE


def test_jobs_are_listed_shown_and_deleted(
    folder: Path, client: gramd.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    job = client.kernels.wait(client.kernels.submit(DENSE, X[:, 0], outputs=["ntk"]))
    assert cli.main(["jobs", "--limit", "3"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(job.id)]
    assert line.split() == [job.id, "succeeded", "1/1", "tiles", "6", "x", "6", "ntk"]
    assert cli.main(["jobs", "show", job.id]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == job.id
    assert cli.main(["jobs", "cancel", job.id]) == cli.REFUSED
    assert "409" in capsys.readouterr().err
    assert cli.main(["jobs", "delete", job.id]) == 0
    assert cli.main(["jobs", "show", job.id]) == cli.REFUSED
    assert cli.main(["jobs", "--predictions", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_many_jobs_are_deleted_at_once(folder: Path, client: gramd.Client) -> None:
    jobs = [client.kernels.submit(DENSE, X[:n, 0]).id for n in (2, 3, 4, 5)]
    assert cli.main(["jobs", "delete", *jobs[:2]]) == 0
    left = {job.id for job in client.kernels.newest()}
    assert left.isdisjoint(jobs[:2])
    assert left >= set(jobs[2:])
    one, _ = (client.predict(DENSE, X[:, 0], X[:, 0, 0], X[:n, 0]).job.id for n in (2, 3))
    assert cli.main(["jobs", "delete", "--predictions", one]) == 0
    assert one not in {job.id for job in client.predictions.newest()}
    assert cli.main(["jobs", "delete", "--all"]) == 0
    assert client.kernels.newest() == []
    assert client.predictions.newest() != []
    assert cli.main(["jobs", "delete", "--all", "--predictions"]) == 0
    assert client.predictions.newest() == []


def test_the_vocabulary_and_checks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["layers"]) == 0
    assert "global_avg_pool" in capsys.readouterr().out
    assert cli.main(["layers", "sparsemax"]) == 0
    assert "source" in json.loads(capsys.readouterr().out)
    assert cli.main(["check", "attention.json", "--shape", "5,3"]) == 0
    assert json.loads(capsys.readouterr().out)["description"]["kernel"] == "matrix"
    assert cli.main(["limits"]) == 0
    assert "max_rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("kernel none.json x.npy -o k.npz", cli.USAGE, "cannot read none.json"),
        ("kernel x.npy x.npy -o k.npz", cli.USAGE, "x.npy is not JSON"),
        ("kernel dense.json dense.json -o k.npz", cli.USAGE, "no .npy file"),
        ("kernel dense.json v.npy -o k.txt", cli.USAGE, "must be a .npz file"),
        ("kernel dense.json v.npy -o no/k.npz", cli.USAGE, "no directory no"),
        ("kernel dense.json y.npy -o k.npz", cli.REFUSED, "/x1"),
        ("kernel dense.json v.npy -o k.npz --method sorcery", cli.REFUSED, "/method"),
        ("kernel attention.json x.npy --mask2 mask.npy -o k.npz", cli.USAGE, "without X2.npy"),
        ("layers magic", cli.USAGE, "no layer or mechanism 'magic'"),
        ("jobs show", cli.USAGE, "needs the ID"),
        ("jobs list --all", cli.USAGE, "--all stands in the place of the IDs of gramd jobs delete"),
        ("jobs delete abc --all", cli.USAGE, "in the place of the IDs"),
        ("jobs delete --all abc", cli.USAGE, "in the place of the IDs"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    assert cli.main(line.split()) == code
    error = capsys.readouterr().err
    assert error.startswith("gramd: ")
    assert error.count("\n") == 1
    assert said in error
    assert not (folder / "k.npz").exists()


def test_the_command_line_itself_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("gramd ")
    with pytest.raises(SystemExit) as caught:
        cli.main(["kernel", "dense.json", "x.npy", "-o", "k.npz", "--outputs", "nngp,magic"])
    assert caught.value.code == cli.USAGE
    assert "expected some of nngp, ntk" in capsys.readouterr().err


def test_a_service_that_is_not_there_has_its_own_exit_code(root: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(root / "client")}
    done = subprocess.run(
        [sys.executable, "-m", "gramd", "limits", "--tries", "2", "--url", "http://127.0.0.1:1"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == cli.UNREACHABLE
    assert "no connection" in done.stderr
    assert "Traceback" not in done.stderr
