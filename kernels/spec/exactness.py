"""How exact a rule is, and a kernel made by it. No JAX."""

from __future__ import annotations

from typing import Literal

Exactness = Literal["exact", "approximate", "estimated"]
"""Up to rounding; within an error that is told (`kernels.result.ErrorEstimate`), or of `elementwise` with
a degree only warned of; or a mean over random draws, with its standard error."""
