"""What a network's kernels are, spelled out: float64, full blocks, one pair after another.

Written from the vocabulary and the goldens' conventions alone, and slow on purpose: every position
pair on the caller's own padded grid, windows as loops over offsets (windows.py), masks applied
again after every layer, activations integrated numerically (gaussian.py). Nothing is shared with
kernels/. The layers are in rules.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tests.oracles.rules import RULES, SHAPES, Array, Layer, Side, unchanged


@dataclass(frozen=True)
class Net:
    """All inputs of both sides and the (K, Theta) block of each pair, after some layer.

    For X against X both sides are one list, so an input meets itself where row is col.
    """

    one: list[Side]
    two: list[Side]
    cross: dict[tuple[int, int], tuple[Array, Array]]


def definition(
    architecture: dict[str, Any],
    x1: Array,
    x2: Array | None = None,
    mask1: Array | None = None,
    mask2: Array | None = None,
) -> dict[str, Array]:
    """The (n1, n2) matrices "nngp" and "ntk" of a network that ends without positions."""
    first = _rows(x1, mask1)
    second = first if x2 is None else _rows(x2, mask2)
    pairs = list(product(range(len(first)), range(len(second))))
    kernels = _pairs(architecture, first, second, pairs)
    return {name: values.reshape(len(first), len(second)) for name, values in kernels.items()}


def diagonals(
    architecture: dict[str, Any], x: Array, mask: Array | None = None
) -> dict[str, Array]:
    """K(x, x) and Theta(x, x) of each input, (n,)."""
    rows = _rows(x, mask)
    return _pairs(architecture, rows, rows, [(i, i) for i in range(len(x))])


def _pairs(
    architecture: dict[str, Any],
    first: list[tuple[Array, Array]],
    second: list[tuple[Array, Array]],
    pairs: Iterable[tuple[int, int]],
) -> dict[str, Array]:
    cross = {
        (i, j): (_product(first[i], second[j]), np.zeros((first[i][1].size, second[j][1].size)))
        for i, j in pairs
    }
    one = [_own(row) for row in first]
    net = Net(one, one if second is first else [_own(row) for row in second], cross)
    net = chain(architecture["layers"], net)
    ended = list(net.cross.values())
    assert all(k.shape == (1, 1) for k, _ in ended), "the network still has positions at its end"
    return {
        "nngp": np.array([k[0, 0] for k, _ in ended]),
        "ntk": np.array([theta[0, 0] for _, theta in ended]),
    }


def chain(layers: Sequence[Layer], net: Net) -> Net:
    """A network's layers, one after the other."""
    for layer in layers:
        net = _apply(layer, net)
    return net


def _rows(x: Array, mask: Array | None) -> list[tuple[Array, Array]]:
    grid = x.shape[1:-1]
    real = np.ones((len(x), *grid), bool) if mask is None else np.asarray(mask, bool)
    entries = np.where(real[..., None], np.asarray(x, np.float64), 0.0)
    return list(zip(entries, real, strict=True))


def _product(one: tuple[Array, Array], two: tuple[Array, Array]) -> Array:
    channels = one[0].shape[-1]
    return one[0].reshape(-1, channels) @ two[0].reshape(-1, channels).T / channels


def _own(row: tuple[Array, Array]) -> Side:
    return Side(row[1].shape, row[1].reshape(-1), _product(row, row))


def _apply(layer: Layer, net: Net) -> Net:
    kind = layer["type"]
    if kind == "repeat":
        return chain(list(layer["layers"]) * layer["times"], net)
    if kind == "parallel":
        branches = [chain(branch, net) for branch in layer["branches"]]
        return _merged(layer.get("merge", "sum"), branches)
    rule, shape = RULES[kind], SHAPES.get(kind, unchanged)

    def pair(row: Side, col: Side, k: Array, theta: Array) -> tuple[Array, Array]:
        k, theta = rule(layer, row, col, k, theta)
        real = np.outer(shape(layer, row)[1], shape(layer, col)[1])
        return np.where(real, k, 0.0), np.where(real, theta, 0.0)

    def own(side: Side) -> Side:
        block, _ = pair(side, side, side.block, np.zeros_like(side.block))
        return Side(*shape(layer, side), block)

    cross = {
        (i, j): pair(net.one[i], net.two[j], k, theta) for (i, j), (k, theta) in net.cross.items()
    }
    one = [own(side) for side in net.one]
    return Net(one, one if net.two is net.one else [own(side) for side in net.two], cross)


def _merged(merge: str, branches: list[Net]) -> Net:
    """A parallel layer: branches of independent weights, added, multiplied or side by side."""

    def kernels(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        k, theta = parts[0]
        for other, other_theta in parts[1:]:
            if merge == "product":
                k, theta = k * other, theta * other + k * other_theta
            else:
                k, theta = k + other, theta + other_theta
        share = 1 / len(parts) if merge == "concat" else 1.0
        return share * k, share * theta

    def side(parts: tuple[Side, ...]) -> Side:
        # Branches may mask other positions (their windows differ): what one masks is masked.
        real = np.logical_and.reduce([part.mask for part in parts])
        block, _ = kernels([(part.block, np.zeros_like(part.block)) for part in parts])
        return Side(parts[0].grid, real, np.where(np.outer(real, real), block, 0.0))

    def masked(pair: tuple[int, int]) -> tuple[Array, Array]:
        k, theta = kernels([net.cross[pair] for net in branches])
        real = np.outer(one[pair[0]].mask, two[pair[1]].mask)
        return np.where(real, k, 0.0), np.where(real, theta, 0.0)

    one = [side(parts) for parts in zip(*(net.one for net in branches), strict=True)]
    two = one
    if branches[0].two is not branches[0].one:
        two = [side(parts) for parts in zip(*(net.two for net in branches), strict=True)]
    return Net(one, two, {pair: masked(pair) for pair in branches[0].cross})
