"""Exact factors of the covariance of queries and keys, where all below is linear. No JAX.

Before the first nonlinearity a covariance K(x, x') has the inner products of few numbers a
position: raw inputs divided by the root of their channels, and what dense layers make of them. The
embeddings of positions add the columns of a factor of their own covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs
from kernels.layers.attention import Attention
from kernels.layers.dense import Dense
from kernels.layers.layer import Layer

Matrix = npt.NDArray[Any]


def linear_factor(below: Sequence[Layer], rows: Inputs) -> Matrix:
    """L_x with K(x, x') = L_x L_x'^T below an attention layer, (n, P, rank), float64.

    Args:
        below: dense layers.
        rows: n inputs; masked positions have rows of zeros.
    """
    factor = rows.x.reshape(len(rows), prod(rows.grid), -1).astype(np.float64)
    factor = factor / np.sqrt(factor.shape[-1])
    for layer in below:
        assert isinstance(layer, Dense)
        bias = np.full((*factor.shape[:-1], 1), layer.b_std)
        factor = np.concatenate([layer.w_std * factor, bias], axis=-1)
    return _zero_where_masked(factor, rows)


def with_positions(layer: Attention, factor: Matrix, rows: Inputs) -> Matrix:
    """The factor of K~, the covariance that queries and keys see: K with embeddings merged in.

    Args:
        layer: the attention layer.
        factor: of K below it, (n, P, rank).
        rows: the n inputs.

    Returns:
        (n, P, rank + P). Column rank + p belongs to position p, so that the first positions of a
        longer sequence have the columns of a shorter one, and the first rows of a higher image
        those of a lower one. Grids that differ in another axis are refused (checks.py).
    """
    positional = layer.positional
    if positional is None:
        return factor
    numbers = positional.prepare(positional.split()[1], rows.grid)
    embedding = positional.std * numbers["factor"].reshape(factor.shape[1], -1)
    if positional.fraction is not None:
        embedding = np.sqrt(positional.fraction) * embedding
        factor = np.sqrt(1 - positional.fraction) * factor
    wide = np.broadcast_to(embedding, (len(rows), *embedding.shape))
    return np.concatenate([factor, _zero_where_masked(wide, rows)], axis=-1)


def _zero_where_masked(factor: Matrix, rows: Inputs) -> Matrix:
    if rows.mask is None:
        return factor
    return np.where(rows.mask.reshape(len(rows), -1, 1), factor, 0)
