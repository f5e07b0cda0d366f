"""The golden kernels as cases, and how far a result may be from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FOLDER = Path(__file__).resolve().parent.parent / "data" / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))

ATTENTION_FOLDER = FOLDER.parent / "golden_attention"
ATTENTION_NAMES = sorted(
    path.stem for path in ATTENTION_FOLDER.glob("*.npz") if path.stem != "performer"
)
"""Kernels of the mechanisms that have a limit, from the reference implementation beside them."""

NOT_DEFINED = {
    "act_elementwise_silu": "these numbers are those of a 25-node rule, not of the integral",
    "act_elementwise_tanh": "the same",
}
"""Cases that the spelled-out definition does not cover, and why."""


@dataclass(frozen=True)
class Golden:
    """One case.

    Attributes:
        name: of its file.
        spec: the architecture.
        inputs: x1, x2, mask1 and mask2, those there are.
        expected: nngp and ntk, those there are.
    """

    name: str
    spec: dict[str, Any]
    inputs: dict[str, Array]
    expected: dict[str, Array]

    @property
    def symmetric(self) -> bool:
        """X against X."""
        return "x2" not in self.inputs


def load(name: str) -> Golden:
    """Reads one case."""
    return _read(FOLDER / f"{name}.npz")


def load_attention(name: str) -> Golden:
    """Reads one case of the attention mechanisms."""
    return _read(ATTENTION_FOLDER / f"{name}.npz")


def _read(path: Path) -> Golden:
    with np.load(path) as case:
        return Golden(
            path.stem,
            json.loads(str(case["spec"])),
            {key: case[key] for key in ("x1", "x2", "mask1", "mask2") if key in case},
            {key: case[key] for key in ("nngp", "ntk") if key in case},
        )


def assert_golden(golden: Golden, result: dict[str, Array]) -> None:
    """1e-8 of the largest entry; 1e-7 on diagonals of symmetric cases, as the goldens' README says."""
    assert set(result) == set(golden.expected)
    for output, expected in golden.expected.items():
        allowed = np.full(expected.shape, 1e-8)
        if golden.symmetric:
            np.fill_diagonal(allowed, 1e-7)
        error = np.abs(result[output] - expected) / np.abs(expected).max()
        assert (error <= allowed).all(), f"{output}: off by {error.max():.1e} of the largest entry"
