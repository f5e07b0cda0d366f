"""Factors of the covariance of queries and keys above a nonlinearity, through landmarks.

With landmarks z (all their positions together), L_x = K~(x, z) K~(z, z)^(-1/2) has the products
L_x L_x'^T = K~(x, z) K~(z, z)^(-1) K~(z, x'), exact if x or x' is a landmark (Nystroem). What an
input's own covariance has beyond that is drawn for the input alone, so the logits of each input
have exactly their law, and only what two inputs have in common beyond the landmarks is left out.

Everything here is float64 whatever the job's dtype: the inverse root magnifies rounding. The
symmetric roots are used since they depend continuously on the matrix, as a triangular or spectral
factor need not: two machines that round differently must find the same heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kernels.engine.workspace import Workspace
from kernels.estimate.places import Place
from kernels.estimate.shared import Shared, in_float64
from kernels.inputs import Inputs
from kernels.layers.dropout import Dropout
from kernels.layers.layer import Layer

Matrix = npt.NDArray[Any]

_SMALLEST: Final = 1e-10
"""Eigenvalues of K~(z, z), over the largest, below which nothing but rounding is left: its 1e-15
becomes 1e-10 by the inverse root."""


class PositionKernels(NamedTuple):
    """How the nngp of some layers is computed by position, with an axis of replicates before the
    positions if the layers are estimated.

    Attributes:
        pairs: (layers, rows1, rows2, shared) -> (n1, n2, P, P').
        own: (layers, rows, shared) -> (n, P, P), each input with itself.
        twins: (layers, rows, shared) -> (n, P, P), each input with another that equals it.
    """

    pairs: Callable[[Sequence[Layer], Inputs, Inputs, Shared], Matrix]
    own: Callable[[Sequence[Layer], Inputs, Shared], Matrix]
    twins: Callable[[Sequence[Layer], Inputs, Shared], Matrix]


class Landmarked(NamedTuple):
    """What is known of n inputs through the landmarks: K~(x, x) = L L^T + C C^T.

    Attributes:
        factor: L_x, (n, P, landmark positions), float64, with a second axis of replicates where
            what comes in is estimated already.
        own: C_x, the root of what an input has for itself, (n, P, P), likewise.
        beyond: the largest share that is not in L L^T of a variance, without what dropout adds to
            it: that is in common with no other input.
    """

    factor: Matrix
    own: Matrix
    beyond: float


def landmark_factor(
    place: Place, rows: Inputs, shared: Shared, kernels: PositionKernels, workspace: Workspace
) -> Landmarked:
    """What the landmarks tell of each input.

    Args:
        place: the estimated layer.
        rows: n inputs.
        shared: the landmarks of the whole result.
        kernels: how the layers below are computed.
        workspace: keeps what all groups need of the landmarks.
    """
    with jax.enable_x64(True):
        rows, shared = in_float64(rows), shared.in_float64()
        assert shared.landmarks is not None, "an estimated layer above a nonlinearity needs them"
        cross = kernels.pairs(place.below, rows, shared.landmarks, shared)
        own = kernels.own(place.below, rows, shared)
        twins = kernels.twins(place.below, rows, shared) if _drops(place.below) else own
        root = workspace.once(
            ("inverse root", place, shared), lambda: _inverse_root(place, shared, kernels)
        )
    seen = _seen(place, cross, rows, shared.landmarks)
    factor = np.matmul(_real_columns(place, seen, shared.landmarks), root)
    own, twins = (_seen_of_own(place, k, rows) for k in (own, twins))
    rest = _root(own - np.matmul(factor, np.swapaxes(factor, -1, -2)))
    return Landmarked(factor, rest, _share_beyond(twins, factor))


def _drops(layers: Sequence[Layer]) -> bool:
    """Whether some layer is dropout."""
    return any(
        isinstance(layer, Dropout) or any(map(_drops, layer.branches_of())) for layer in layers
    )


def _inverse_root(place: Place, shared: Shared, kernels: PositionKernels) -> Matrix:
    """K~(z, z)^(-1/2) of all landmark positions, (m, m) or (replicates, m, m)."""
    rows = shared.landmarks
    assert rows is not None
    k = kernels.pairs(place.below, rows, rows, shared)
    k = np.moveaxis(_real_columns(place, _seen(place, k, rows, rows), rows), 0, -3)
    k = k.reshape(*k.shape[:-3], -1, k.shape[-1])
    real = masks_at(place, rows)
    if real is not None:
        k = k[..., real.reshape(-1), :]
    values, vectors = np.linalg.eigh((k + np.swapaxes(k, -1, -2)) / 2)
    kept = values > _SMALLEST * values[..., -1:]
    inverse = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
    return np.matmul(vectors * inverse[..., None, :], np.swapaxes(vectors, -1, -2))


def _root(k: Matrix) -> Matrix:
    """The symmetric root, rounding below zero cut off."""
    values, vectors = np.linalg.eigh((k + np.swapaxes(k, -1, -2)) / 2)
    scaled = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return np.matmul(scaled, np.swapaxes(vectors, -1, -2))


def _share_beyond(own: Matrix, factor: Matrix) -> float:
    """The largest share of a variance in `own`, (n, ..., P, P), that is not in L L^T."""
    total, told = np.diagonal(own, axis1=-2, axis2=-1), (factor**2).sum(-1)
    # Masked positions and zero tokens have no variance, but the root of theirs has rounding.
    real = total > _SMALLEST * total.max()
    return float(np.where(real, np.maximum(total - told, 0) / np.where(real, total, 1), 0).max())


def masks_at(place: Place, rows: Inputs) -> npt.NDArray[np.bool_] | None:
    """The real positions of each input at an estimated layer, (n, P); None if all are."""
    if rows.mask is None:
        return None
    mask, grid = jnp.asarray(rows.mask.reshape(len(rows), -1)), rows.grid
    for layer in place.below:
        mask = jax.vmap(partial(layer.output_mask, grid=grid))(mask)
        grid = layer.output_grid(grid)
    return np.asarray(mask)


def _seen(place: Place, k: Matrix, rows1: Inputs, rows2: Inputs) -> Matrix:
    """K~, what queries and keys see, from K by position, (n1, n2, ..., P, P')."""
    positional = place.layer.positional
    if positional is None:
        return k
    numbers = positional.split()[1]
    r = positional.covariance(np, place.grid(rows1.grid), place.grid(rows2.grid), numbers)
    real1, real2 = masks_at(place, rows1), masks_at(place, rows2)
    every = (1,) * (k.ndim - 4)
    if real1 is not None:
        r = np.where(real1.reshape(len(real1), 1, *every, -1, 1), r, 0)
    if real2 is not None:
        r = np.where(real2.reshape(1, len(real2), *every, 1, -1), r, 0)
    mixed: Any = positional.mixed  # arithmetic alone, of NumPy's arrays as of JAX's
    return mixed(k, r, numbers)


def _seen_of_own(place: Place, k: Matrix, rows: Inputs) -> Matrix:
    """K~ of each input with itself, from K by position, (n, ..., P, P)."""
    each = [_seen(place, k[None, [row]], *[rows.take([row])] * 2) for row in range(len(rows))]
    return np.concatenate(each, axis=1)[0]


def _real_columns(place: Place, cross: Matrix, landmarks: Inputs) -> Matrix:
    """(n, landmarks, ..., P, P') to (n, ..., P, m): the real positions of all landmarks."""
    moved = np.moveaxis(cross, 1, -2)
    every = moved.reshape(*moved.shape[:-2], -1)
    real = masks_at(place, landmarks)
    return every if real is None else every[..., real.reshape(-1)]
