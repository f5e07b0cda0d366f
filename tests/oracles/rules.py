"""The layers' limits, one function each, as golden/README.md and the vocabulary put them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tests.oracles.gaussian import ACTIVATIONS, Array, expectations
from tests.oracles.mechanisms import mixing
from tests.oracles.positions import correlations
from tests.oracles.random_logits import Logits
from tests.oracles.windows import Window, box_sum, joint_sum

Layer = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One input: its position grid, its flat mask, and its own block of position pairs."""

    grid: tuple[int, ...]
    mask: Array
    block: Array


# Rules: (layer, row, col, K, Theta) -> (K', Theta'), before the mask is applied again.


def _dense(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    weight, bias = layer.get("w_std", 1.0) ** 2, layer.get("b_std", 0.0) ** 2
    return weight * k + bias, weight * k + bias + weight * theta


def _conv(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    weight, bias = layer.get("w_std", 1.0) ** 2, layer.get("b_std", 0.0) ** 2
    scale = weight / prod(layer["window"])
    summed = [joint_sum(block, row.grid, col.grid, _window(layer, "same")) for block in (k, theta)]
    return scale * summed[0] + bias, scale * summed[0] + bias + scale * summed[1]


def _pool(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    scale = 1.0 if layer["type"] == "sum_pool" else 1.0 / prod(layer["window"]) ** 2
    window = _window(layer, "valid")
    return tuple(scale * box_sum(block, row.grid, col.grid, window) for block in (k, theta))


def _global_pool(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    if not (row.mask.any() and col.mask.any()):
        # A strided layer may leave an input no real position; then there is nothing to average.
        return np.zeros((1, 1)), np.zeros((1, 1))
    pairs = 1 if layer["type"] == "global_sum_pool" else row.mask.sum() * col.mask.sum()
    return np.array([[k.sum() / pairs]]), np.array([[theta.sum() / pairs]])


def _flatten(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    return np.array([[np.diag(k).mean()]]), np.array([[np.diag(theta).mean()]])


def _layer_norm(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    def scale(side: Side) -> Array:
        variance = np.diag(side.block)
        if "spatial" in layer.get("axes", ["channel"]) and side.mask.any():
            variance = np.full_like(variance, variance[side.mask].mean())
        # Masked positions have variance 0; they are zeroed afterwards, whatever comes out here.
        return 1 / np.sqrt(np.where(side.mask, variance, 1.0) + layer.get("eps", 1e-12))

    both = np.outer(scale(row), scale(col))
    return k * both, theta * both


def _activation(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    value, slope = expectations(layer, np.diag(row.block)[:, None], np.diag(col.block)[None, :], k)
    return value, theta * slope


def _dropout(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    kept = np.eye(*k.shape, dtype=bool) & (row is col)
    scale = np.where(kept, 1 / layer["rate"], 1.0)
    return k * scale, theta * scale


def _attention(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    if layer.get("scaling", "linear") == "sqrt":
        rule = _sqrt_identity if layer.get("mechanism") == "identity" else _sqrt
        made = rule(layer, row, col, k, theta)
    else:
        left, right = _mixing(layer, row), _mixing(layer, col)
        gain, bias = layer.get("ov_std", 1.0) ** 2, layer.get("b_std", 0.0) ** 2
        k_values, theta_values = _values(layer, row, col, k, theta)
        made = (
            gain * left @ k_values @ right.T + bias,
            gain * left @ theta_values @ right.T + bias + 2 * gain * left @ k_values @ right.T,
        )
    if layer.get("residual") is None:
        return made
    share = layer["residual"]["weight"]
    return share * k + (1 - share) * made[0], share * theta + (1 - share) * made[1]


def _positioned(layer: Layer, row: Side, col: Side, block: Array) -> Array:
    """A block with positional embeddings: what queries and keys see."""
    positional = layer.get("positional")
    if positional is None:
        return block
    r = positional.get("std", 1.0) ** 2 * correlations(positional, row.grid, col.grid)
    r = np.where(np.outer(row.mask, col.mask), r, 0.0)
    if positional["merge"] == "sum":
        return block + r
    fraction = positional.get("fraction", 0.5)
    return (1 - fraction) * block + fraction * r


def _values(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    """What the values see."""
    if (layer.get("positional") or {}).get("in_values", False):
        return _positioned(layer, row, col, k), _positioned(layer, row, col, theta)
    return k, theta


def _visible(layer: Layer, side: Side) -> Array:
    """Which key j (second axis) query i sees."""
    visible = np.broadcast_to(side.mask[None, :], side.block.shape)
    return np.tril(visible) if layer.get("causal", False) else visible


def _mixing(layer: Layer, side: Side) -> Array:
    """A(x)."""
    logits = layer.get("qk_std", 1.0) * _positioned(layer, side, side, side.block)
    return mixing(layer.get("mechanism", "softmax"), logits, _visible(layer, side))


def _sqrt_identity(
    layer: Layer, row: Side, col: Side, k: Array, theta: Array
) -> tuple[Array, Array]:
    """Independent query and key weights: every pair of queries sums over its visible keys."""
    assert layer["mechanism"] == "identity"
    gain = (layer.get("qk_std", 1.0) * layer.get("ov_std", 1.0)) ** 2
    bias = layer.get("b_std", 0.0) ** 2
    # Embeddings are trained: Theta reaches queries and keys with the same R as K.
    k_q, theta_q = _positioned(layer, row, col, k), _positioned(layer, row, col, theta)
    k_v, theta_v = _values(layer, row, col, k, theta)
    see_row, see_col = _visible(layer, row), _visible(layer, col)
    nngp, ntk = np.empty_like(k), np.empty_like(k)
    for a, b in product(range(k.shape[0]), range(k.shape[1])):
        keys = np.outer(see_row[a], see_col[b])
        s = (k_q * k_v)[keys].sum()
        lower = (k_q * theta_v + k_v * theta_q)[keys].sum()
        nngp[a, b] = gain * s * k_q[a, b] + bias
        ntk[a, b] = gain * (s * (theta_q[a, b] + 4 * k_q[a, b]) + k_q[a, b] * lower) + bias
    return nngp, ntk


def _sqrt(layer: Layer, row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
    """Any other mechanism: every pair of queries sums over the pairs of keys they see."""
    gain, bias = layer.get("ov_std", 1.0) ** 2, layer.get("b_std", 0.0) ** 2
    own = [_positioned(layer, side, side, side.block) for side in (row, col)]
    logits = Logits(
        layer.get("mechanism", "softmax"),
        layer.get("qk_std", 1.0),
        *own,
        _positioned(layer, row, col, k),
        _positioned(layer, row, col, theta),
    )
    nngp, ntk = logits.kernels(
        _visible(layer, row), _visible(layer, col), *_values(layer, row, col, k, theta)
    )
    return gain * nngp + bias, gain * ntk + bias


RULES: dict[str, Callable[[Layer, Side, Side, Array, Array], tuple[Array, Array]]] = {
    "dense": _dense,
    "conv": _conv,
    "avg_pool": _pool,
    "sum_pool": _pool,
    "global_avg_pool": _global_pool,
    "global_sum_pool": _global_pool,
    "flatten": _flatten,
    "layer_norm": _layer_norm,
    "attention": _attention,
    "dropout": _dropout,
    **dict.fromkeys(ACTIVATIONS, _activation),
}

# Shapes: (layer, side) -> (grid', mask').


def _window(layer: Layer, padding: str) -> Window:
    strides = layer.get("strides") or [1] * len(layer["window"])
    return Window(tuple(layer["window"]), tuple(strides), layer.get("padding", padding))


def unchanged(layer: Layer, side: Side) -> tuple[tuple[int, ...], Array]:
    return side.grid, side.mask


def _windowed(layer: Layer, side: Side) -> tuple[tuple[int, ...], Array]:
    window = _window(layer, "same" if layer["type"] == "conv" else "valid")
    return window.grid(side.grid), window.mask(side.mask, side.grid)


def _no_positions(layer: Layer, side: Side) -> tuple[tuple[int, ...], Array]:
    return (), np.array([True])


SHAPES = {
    **dict.fromkeys(("conv", "avg_pool", "sum_pool"), _windowed),
    **dict.fromkeys(("global_avg_pool", "global_sum_pool", "flatten"), _no_positions),
}
