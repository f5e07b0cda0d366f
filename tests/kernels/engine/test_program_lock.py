"""Real processes that compile the same programs: one does, others wait for it, and none for ever."""

import errno
import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernels.engine import program_lock as module
from kernels.engine.program_lock import program_lock

SECONDS = 60

HOLDER = """
import sys
from kernels.engine.program_lock import program_lock
with program_lock(sys.argv[1], lambda: "a program", wait=True) as free:
    print(free, flush=True)
    sys.stdin.read()
"""

COMPILER = """
import sys
import jax, numpy as np
from kernels.engine.backend import keep_compiled_code
from kernels.engine.compiled import Compiled
compiled = []
jax.monitoring.register_event_listener(lambda event, **_: compiled.append(event.split("/")[-1]))
keep_compiled_code(sys.argv[1])
def deep(x):
    for _ in range(40):
        x = jax.numpy.sin(x) @ x
    return x
run = Compiled(deep)
print("ready", flush=True)
sys.stdin.readline()
run(np.eye(8, dtype=np.float32))
print(compiled.count("cache_misses"), compiled.count("cache_hits"), flush=True)
"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(root: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a process on the folder of this test."""
    with ExitStack() as stack:

        def one(code: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield one


def said(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def free(folder: Path, program: str = "a program", wait: bool = False) -> bool:
    with program_lock(str(folder), lambda: program, wait) as found:
        return found


def test_who_does_not_wait_is_told_that_another_process_compiles_it(
    start: Start, tmp_path: Path
) -> None:
    assert free(tmp_path)
    holder = start(HOLDER)
    assert said(holder) == "True"
    assert not free(tmp_path)
    assert free(tmp_path, "another program")
    holder.communicate(timeout=SECONDS)
    assert free(tmp_path)


def test_a_process_that_is_killed_holds_nobody_up(start: Start, tmp_path: Path) -> None:
    holder = start(HOLDER)
    assert said(holder) == "True"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(free, tmp_path, wait=True)
        holder.kill()
        assert waiting.result(SECONDS)


def test_a_process_that_hangs_holds_nobody_up_for_ever(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.05)
    assert said(start(HOLDER)) == "True"
    assert not free(tmp_path, wait=True)


def test_without_a_folder_or_locks_everybody_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free(tmp_path / "not there")
    (tmp_path / "file").touch()
    assert free(tmp_path / "file")
    with program_lock(None, lambda: "a program", wait=True) as found:
        assert found

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    assert free(tmp_path, wait=True)


def test_of_two_processes_one_compiles_and_the_other_reads(start: Start) -> None:
    both = [start(COMPILER) for _ in range(2)]
    assert [said(process) for process in both] == ["ready"] * 2
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(said(process) for process in both) == ["0 1", "1 0"]
