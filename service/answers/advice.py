"""What a prediction was allowed to do and its user probably did not mean, in sentences."""

import math
from collections.abc import Sequence
from typing import Final

_TELLING: Final = 2.0
"""Error bars that are so many times too wide or too narrow are worth a word."""


def on_search(chosen: float, grid: Sequence[float]) -> list[str]:
    """Of a search for diag_reg that ended at an end of its grid.

    Args:
        chosen: the best candidate, relative to the mean diagonal.
        grid: all of them.
    """
    least, most = min(grid), max(grid)
    if least < most and math.isclose(chosen, least, rel_tol=1e-6):
        why = "the targets have no noise to speak of, or rows of the training inputs repeat"
        return [f"diag_reg: the smallest candidate, {least:g} of the mean diagonal, is best: {why}"]
    if least < most and math.isclose(chosen, most, rel_tol=1e-6):
        why = "give a grid that goes on, centre and scale the targets, or try another network"
        return [f"diag_reg: the largest candidate, {most:g} of the mean diagonal, is best: {why}"]
    return []


def on_scale(scale: float, best: float) -> list[str]:
    """Of error bars that the left-out training targets do not bear out.

    Args:
        scale: what the covariance was multiplied by.
        best: what leave-one-out would have multiplied it by.
    """
    times = math.sqrt(best / scale)
    if 1 / _TELLING < times < _TELLING:
        return []
    advice = (
        f"variance: left out one at a time, the training targets lie {times:.3g} times as far from "
        f"their predictions as the model says; centre and scale the targets, or ask for "
        f'output_scale "loo", which is {best:.4g} here'
    )
    return [advice]
