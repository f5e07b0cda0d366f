"""`make bench-attention` still runs: each of its tables, at sizes that take seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import attention_structure as tables


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (tables.contraction, 1),
        (tables.mixed_inputs, 1),
        (tables.products, 2),
        (tables.flat_attention, 2),
        (tables.mechanisms, 5),
    ],
)
def test_a_table(
    table: Callable[[], None],
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tables, "RUNS", 1)
    monkeypatch.setattr(tables, "SIZES", ((24, 3),))
    monkeypatch.setattr(tables, "LONGEST", 48)
    monkeypatch.setattr(tables, "RANK", 12)
    monkeypatch.setattr(tables, "LENGTHS", (96,))
    monkeypatch.setattr(tables, "PAIRS", 2)
    table()
    head, _, *body = capsys.readouterr().out.splitlines()
    assert len(body) == rows
    assert {line.count("|") for line in body} == {head.count("|")}
