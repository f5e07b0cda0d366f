"""Standard errors from leaving out one group of heads at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]


def included_groups(groups: int) -> npt.NDArray[np.bool_]:
    """Which groups each replicate averages over, (1 + groups, groups): all, then all but one."""
    return np.concatenate([np.ones((1, groups), bool), ~np.eye(groups, dtype=bool)])


def estimate_and_error(replicates: Matrix, axis: int) -> tuple[Matrix, Matrix]:
    """The estimate from all heads and its standard error.

    Heads are independent and alike, and the kernel is a smooth function of means over heads, so
    the jackknife's variance (G - 1) / G sum_g (k_g - mean k)^2 holds for whatever layers follow.
    Groups may differ in size by one draw: to first order it needs no equal sizes.

    Args:
        replicates: kernels of all heads and of all but each group, in the order of `included_groups`.
        axis: along which they stand.

    Returns:
        estimate, standard error: of the dtype of the replicates, without that axis.

    Source: Efron & Stein, The jackknife estimate of variance, Annals of Statistics 1981.
    """
    moved = np.moveaxis(replicates, axis, 0)
    left_out = moved[1:].astype(np.float64)
    groups = len(left_out)
    variance = (groups - 1) / groups * ((left_out - left_out.mean(0)) ** 2).sum(0)
    return moved[0].copy(), np.sqrt(variance).astype(replicates.dtype)
