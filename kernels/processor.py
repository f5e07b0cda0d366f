"""What the processor does fast."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}
"""Instructions that multiply matrices of bfloat16, as Linux names them."""


@cache
def multiplies_bfloat16() -> bool:
    """Whether products of bfloat16 matrices, added up in float32, take less time here than float32 ones."""
    import jax

    return jax.default_backend() == "cpu" and says_bfloat16(Path("/proc/cpuinfo"))


def says_bfloat16(cpuinfo: Path) -> bool:
    """Whether Linux names such instructions in this file; other systems have none."""
    return cpuinfo.exists() and not _BFLOAT16.isdisjoint(cpuinfo.read_text().split())
