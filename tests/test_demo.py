"""`make demo`'s script, on fewer digits: twice, and interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


def command(root: Path, folder: Path) -> list[str]:
    script = root / "examples" / "digits" / "demo.py"
    options = ["--examples", "200", "--data-dir", str(folder / "data")]
    return [sys.executable, str(script), *options, "--output", str(folder / "output")]


def processes_naming(folder: Path) -> list[str]:
    """Command lines and environments of live processes that mention the folder."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if os.fsencode(folder) in said:
            found.append(said.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def test_the_second_run_is_answered_from_the_cache(root: Path, tmp_path: Path) -> None:
    printed = [
        subprocess.run(
            command(root, tmp_path), cwd=root, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert "0 of 1 reused from the cache" in printed[0]
    assert "Everything was answered from the cache" in printed[1]
    for line in ("NNGP", "NTK"):
        accuracies = [
            next(part for part in run.splitlines() if part.strip().startswith(f"{line}:"))
            for run in printed
        ]
        assert accuracies[0] == accuracies[1]
        # Guessing gets a tenth; 150 examples are enough for far more.
        assert float(accuracies[0].split()[1].rstrip("%")) > 80
    assert (tmp_path / "output" / "kernel.png").read_bytes().startswith(PNG)
    assert processes_naming(tmp_path) == []


def test_an_interrupted_demonstration_leaves_no_process(root: Path, tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command(root, tmp_path), cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    log = tmp_path / "data" / "service.log"
    deadline = time.monotonic() + 60
    while not log.exists() or b"worker" not in log.read_bytes():
        assert demo.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGTERM
    assert processes_naming(tmp_path) == []
