"""Which processors are taken to multiply bfloat16 fast."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest

from kernels.processor import multiplies_bfloat16, says_bfloat16

FLAGS = "model name\t: {}\nflags\t\t: fpu sse2 avx2 avx512f {}\n"
PROCESSORS = {
    "Zen 4": (FLAGS.format("EPYC 9R14", "avx512_vnni avx512_bf16 vpclmulqdq"), True),
    "Sapphire Rapids": (FLAGS.format("Xeon 8488C", "avx512_bf16 amx_bf16 amx_int8"), True),
    "Ice Lake": (FLAGS.format("Xeon 8375C", "avx512_vnni avx512_bitalg"), False),
    "a name that only begins so": (FLAGS.format("none", "avx512_bf16x"), False),
    "Graviton": ("Features\t: fp asimd bf16 i8mm\n", False),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_what_linux_says_of_a_processor(name: str, tmp_path: Path) -> None:
    text, fast = PROCESSORS[name]
    (tmp_path / "cpuinfo").write_text(text)
    assert says_bfloat16(tmp_path / "cpuinfo") is fast


def test_other_systems_say_nothing(tmp_path: Path) -> None:
    assert not says_bfloat16(tmp_path / "cpuinfo")


def test_a_gpu_is_no_such_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not multiplies_bfloat16.__wrapped__()
