"""The correlation R of positional embeddings, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def correlations(positional: dict[str, Any], one: tuple[int, ...], two: tuple[int, ...]) -> Array:
    """R between every position of one grid and every position of another."""
    decay = positional.get("decay") or {"type": "indicator"}
    p_norm = positional.get("p_norm", 2)
    rows, cols = list(np.ndindex(*one)), list(np.ndindex(*two))
    r = np.empty((len(rows), len(cols)))
    for i, here in enumerate(rows):
        for j, there in enumerate(cols):
            apart = sum(abs(a - b) ** p_norm for a, b in zip(here, there, strict=True))
            r[i, j] = _decay(decay, apart)
    return r


def _decay(decay: dict[str, Any], distance: float) -> float:
    if decay["type"] == "indicator":
        return float(distance == 0)
    scaled = (distance / decay.get("length", 1.0)) ** decay.get("power", 1.0)
    return 1 / (1 + scaled) if decay["type"] == "rational" else float(np.exp(-scaled))
