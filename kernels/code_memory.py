"""Room for compiled code.

A program is mapped into memory in some 70 parts, and Linux lets a process have 65,530 of them
(vm.max_map_count): past that XLA's compiler aborts the process. A worker would get there with its
thousandth program.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jax

_MAPPINGS: Final = Path("/proc/self/maps")
_MOST: Final = Path("/proc/sys/vm/max_map_count")

_SHARE: Final = 0.75
"""Of the mappings that there may be; the rest is for data, and for programs that others compile now."""


@dataclass
class _Dropped:
    times: int = 0


_DROPPED: Final = _Dropped()


def times_dropped() -> int:
    """How often all compiled code was dropped: what was compiled before the last time is gone."""
    return _DROPPED.times


def make_room() -> None:
    """Before a program is compiled: drops all compiled code of the process where there is hardly room
    for more. What is called again is compiled again, or loaded where compiled code is kept on disk.
    """
    if not _MOST.exists():  # Not Linux.
        return
    with _MAPPINGS.open("rb") as lines:
        mapped = sum(1 for _ in lines)
    if mapped > _SHARE * int(_MOST.read_text()):
        _DROPPED.times += 1
        jax.clear_caches()
