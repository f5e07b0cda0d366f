"""The data directory: it can be written to, and is one process's at a time, by a lock that ends with
its holders."""

import fcntl
import os
import tempfile
import time
from pathlib import Path

from service.errors import StartError

# How long a previous supervisor's servers, which hold the lock, may take to write their data.
LOCK_S = 20.0
POLL_S = 0.1


def make_directory(path: Path, name: str) -> None:
    """Make `path` if it is not there, and see that it can be written to; raises StartError, which
    calls it `name`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise StartError(
            f"the {name} {path} cannot be used: {error.strerror or error}; choose a directory that"
            " this user may write to"
        ) from error


def lock(data_dir: Path) -> int:
    """Take the data directory, which must exist; the lock ends with the processes that hold the
    descriptor returned. Raises StartError when another gramd has it."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode().strip()
            # Without its supervisor a store is only writing its data; that takes a moment.
            if _alive(owner) or time.monotonic() > deadline:
                os.close(descriptor)
                raise StartError(
                    f"{data_dir} is in use by another gramd (process {owner or 'unknown'}); "
                    "stop it, or choose another directory with --data-dir"
                ) from None
            time.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _alive(owner: str) -> bool:
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
