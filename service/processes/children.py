"""Child processes that never outlive their parent, whatever ends it."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def _tied_to(
    parent: int, number: signal.Signals, libc: ctypes.CDLL | None, cpus: Collection[int] | None
) -> Callable[[], None]:
    """What the child does between fork and exec."""

    def tie() -> None:
        # Its own process group: Ctrl-C goes to the supervisor alone, which stops children in order.
        os.setpgid(0, 0)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            # The parent may have died before prctl took effect; then no signal will come.
            if os.getppid() != parent:
                os._exit(1)

    return tie


def spawn(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    on_parent_death: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
    cpus: Collection[int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `on_parent_death` when this process ends.

    Linux sends that signal when the *thread* that spawned ends, so call this on the main thread.
    Elsewhere children are only stopped by a supervisor that can still do so. `cpus` are all that it
    may run on.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    return subprocess.Popen(
        list(command),
        env=None if environ is None else dict(environ),
        stdin=subprocess.DEVNULL,
        pass_fds=tuple(pass_fds),
        preexec_fn=_tied_to(os.getpid(), on_parent_death, libc, cpus),  # noqa: PLW1509  (one thread here)
    )


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """SIGTERM, and SIGKILL when the child is still there after `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
