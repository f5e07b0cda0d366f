"""What is learnt: numbers as they are, or classes as centred one-hot vectors. No SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from kernels.errors import InputError

Task = Literal["regression", "classification"]
MAX_LABEL: Final = 2**53
"""Whole numbers up to here are the same in float64 and in JSON."""
MAX_TARGET: Final = 1e100
"""Squares of much larger ones leave the range of float64, and so do those of weights, K^-1 y, where
kernels are as small as 1e-50."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The training targets.

    Attributes:
        values: (n, k) float64, what is regressed on.
        flat: whether they came as (n,): predictions then have no output axis either.
        labels: the classes, ascending, one a column; None for regression.
    """

    values: npt.NDArray[np.float64]
    flat: bool
    labels: tuple[int, ...] | None

    def classes(self, mean: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The class of the largest mean, (m,), of means (m, k); the first of several."""
        assert self.labels is not None, "regression has no classes"
        return np.asarray(self.labels, np.int64)[np.argmax(mean, axis=1)]


def read_targets(y: npt.NDArray[Any], task: Task, rows: int, pointer: str = "/y") -> Targets:
    """Checks targets and brings them into the form that is solved for.

    Args:
        y: (n,) or (n, k) numbers for regression; (n,) or (n, 1) whole numbers, the classes, else.
        task: "regression" or "classification".
        rows: n, how many inputs there are.
        pointer: where y stands, for errors.

    Returns:
        targets: of classification, column c is 1 - 1/C in rows of class c and -1/C in others
            (C classes), so that the mean over classes is zero, as the prior's.

    Raises:
        InputError: another shape, not finite, no classes.
    """
    if y.ndim not in (1, 2) or len(y) != rows:
        raise InputError(
            f"expected one row of targets for each of the {rows} training inputs, (n,) or (n, k); "
            f"got shape {list(y.shape)}",
            pointer,
        )
    if 0 in y.shape:
        raise InputError(
            f"expected at least one target a row, got shape {list(y.shape)}: the axis of targets is "
            f"empty",
            pointer,
        )
    if y.dtype.kind not in "fiub":
        raise InputError(
            f"expected real numbers, got dtype {y.dtype}, shape {list(y.shape)}", pointer
        )
    values = np.array(y, np.float64).reshape(rows, -1)
    wild = ~(np.abs(values) <= MAX_TARGET)
    if wild.any():
        row = int(np.argwhere(wild)[0, 0])
        raise InputError(
            f"expected finite targets up to {MAX_TARGET:g} in size, got {values[row].tolist()} in row "
            f"{row}",
            pointer,
        )
    if task == "regression":
        return Targets(values, y.ndim == 1, None)
    if values.shape[1] != 1:
        raise InputError(
            f"classification takes one class a row, (n,); got shape {list(y.shape)} (send one-hot "
            f"targets as regression, or their argmax)",
            pointer,
        )
    labels = values[:, 0]
    if np.any(labels != np.round(labels)) or np.abs(labels).max() > MAX_LABEL:
        wrong = labels[(labels != np.round(labels)) | (np.abs(labels) > MAX_LABEL)][0]
        raise InputError(f"classes are whole numbers up to 2^53 in size, got {wrong:g}", pointer)
    classes, place = np.unique(labels.astype(np.int64), return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"expected at least two classes, got only {classes[0]}", pointer)
    # In place: the array may take as much as the kernels of its rows do.
    one_hot = np.full((rows, len(classes)), -1 / len(classes))
    one_hot[np.arange(rows), place] += 1
    return Targets(one_hot, False, tuple(classes.tolist()))
