"""One process at a time compiles a program: others that keep compiled code in the same folder wait.

They then find it on disk. A lock is a range of bytes of one file in the folder, which the kernel frees
when its process ends, however that ends. It saves work and guards nothing: where the folder cannot be
written to, or its file system knows no locks, or a process holds one and does not go on, everybody
compiles what they need.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Final

_FILE: Final = "compiling.lock"

_LOOK_SECONDS: Final = 0.01
"""How often a process that waits looks again; the kernel's own waiting knows no end but the lock's."""

_PATIENCE_SECONDS: Final = 20.0
"""A few times what the slowest programs take. Who still has the lock then was stopped, or hangs."""


@contextmanager
def program_lock(folder: str | None, text: Callable[[], str], wait: bool) -> Generator[bool]:
    """Holds the lock of a program, and says whether nobody else does.

    Args:
        folder: where compiled code is kept; None for nowhere.
        text: says what the program is.
        wait: for another process that has the lock; not for ever.
    """
    file = None if folder is None else _file(folder)
    if file is None:
        yield True
        return
    place = int.from_bytes(sha256(text().encode()).digest()[:7], "big")
    free = _take(file, place, wait)
    try:
        yield free
    finally:
        if free:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


def _take(file: int, place: int, wait: bool) -> bool:
    """Whether the byte is ours, or locks are of no use."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            # Another process's: EAGAIN or EACCES, says POSIX.
            if not wait or monotonic() > deadline:
                return False
        except OSError:
            return True
        else:
            return True
        sleep(_LOOK_SECONDS)


@cache
def _file(folder: str) -> int | None:
    """The lock file of a folder, open as long as the process: to close it would free all its locks.

    None where it cannot be written to.
    """
    try:
        return os.open(Path(folder) / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
