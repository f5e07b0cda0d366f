"""The workloads of `make bench`: a network, its inputs, and the work that no method avoids.

Every one is symmetric (X with itself), float32, nngp and ntk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from benchmarks.roofline import Rates

Layers = list[dict[str, Any]]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Data:
    """Inputs of one workload.

    Attributes:
        x: (n, d), (n, T, d) or (n, H, W, C), float32.
        mask: (n, T), True = real, or None.
    """

    x: Array
    mask: Array | None = None

    @property
    def lengths(self) -> Array:
        """Real positions of every input, (n,)."""
        if self.mask is not None:
            return self.mask.sum(axis=tuple(range(1, self.mask.ndim)))
        return np.full(len(self.x), prod(self.x.shape[1:-1]))


@dataclass(frozen=True)
class Floor:
    """What any method has to do; of a whole workload, for pairs i <= j.

    Attributes:
        flops: of matrix products.
        bytes: read once and written once.
    """

    flops: float
    bytes: float

    def seconds(self, rates: Rates) -> float:
        """How long a machine with these rates takes for it."""
        return self.flops / rates.flops + self.bytes / rates.bytes


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        name: one letter and what it is.
        layers: the network.
        data: makes the inputs.
        floor: the unavoidable work on them.
        peer_batches: batch sizes that the peer is tried with.
        sweep: values of w_std of the first layer to go through; empty for one network.
    """

    name: str
    layers: Layers
    data: Callable[[], Data]
    floor: Callable[[Data], Floor]
    peer_batches: tuple[int, ...] = (0,)
    sweep: tuple[float, ...] = field(default=())


RELU: Final = {"type": "relu"}
POOL: Final = {"type": "global_avg_pool"}
POSITIONS: Final = {"merge": "sum", "decay": {"type": "rational", "power": 2.0}}


def dense(w_std: float = 2**0.5) -> dict[str, Any]:
    return {"type": "dense", "w_std": w_std, "b_std": 0.1}


def attention(**parameters: Any) -> dict[str, Any]:
    return {"type": "attention", **parameters}


def conv(*window: int, padding: str = "same") -> dict[str, Any]:
    return {"type": "conv", "window": list(window), "padding": padding, "w_std": 2**0.5}


IMDB: Final[Layers] = [
    {"type": "conv", "window": [9], "padding": "valid"},
    RELU,
    attention(positional=POSITIONS),
    RELU,
    POOL,
    {"type": "dense"},
]
"""The network of the infinite-attention authors' IMDb example (arXiv 2006.10540)."""
CONVOLVED: Final = 8
"""Positions that its convolution takes from each review."""


def normal(*shape: int) -> Data:
    """Independent standard normal inputs."""
    return Data(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def reviews_alike(n: int) -> Data:
    """Sequences with the lengths of film reviews (log-normal, 40 to 500 tokens), 50 channels.

    Tokens are drawn from 5,000 vectors with Zipf's frequencies, as words are.
    """
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(5.3, 0.65, n)), 40, 500).astype(int)
    lengths[0] = 500
    words = rng.normal(size=(5000, 50)) * 0.4
    frequency = 1 / np.arange(1, 5001)
    tokens = rng.choice(5000, size=(n, 500), p=frequency / frequency.sum())
    mask = np.arange(500)[None, :] < lengths[:, None]
    return Data((words[tokens] * mask[..., None]).astype(np.float32), mask)


def no_floor(data: Data) -> Floor:
    n = len(data.x)
    return Floor(n * (n + 1) * data.x[0].size, 8 * n * (n + 1) / 2)


def of_blocks(passes: int) -> Callable[[Data], Floor]:
    """Elementwise work only: `passes` reads and writes of the position blocks of all pairs."""

    def floor(data: Data) -> Floor:
        lengths = data.lengths.astype(float)
        pairs = _pairs(lengths[:, None] * lengths[None, :])
        return Floor(2 * pairs * data.x.shape[-1], passes * 2 * 2 * 4 * pairs)

    return floor


def of_attention(cut: int = 0) -> Callable[[Data], Floor]:
    """Both products of A K A'^T for both kernels of pairs i <= j; T is shorter by `cut`."""

    def floor(data: Data) -> Floor:
        t, channels = data.lengths - cut, data.x.shape[-1]
        every = of_attention_pairs(t[:, None], t[None, :], channels)
        own = of_attention_pairs(t, t, channels)
        return Floor((every.flops + own.flops) / 2, (every.bytes + own.bytes) / 2)

    return floor


def of_attention_pairs(one: Array, two: Array, channels: int) -> Floor:
    """2 T1 T2 (T1 + T2) for each kernel, and X X'^T, of all pairs of inputs of T1 and T2 positions,
    broadcast."""
    products = 2.0 * one * two * (one + two)
    flops = 2 * products + 2.0 * one * two * channels
    return Floor(float(flops.sum()), float((2 * 2 * 4.0 * one * two).sum()))


def of_readout(data: Data) -> Floor:
    """One weighted sum a pair: the blocks of the layer below are made and read once."""
    t = data.lengths.astype(float)
    one, two = t[:, None], t[None, :]
    return Floor(_pairs(2 * one * two * (data.x.shape[-1] + 2)), _pairs(4 * one * two))


def of_diagonals(data: Data) -> Floor:
    """Position p with position p only."""
    n, positions = len(data.x), prod(data.x.shape[1:-1])
    pairs = n * (n + 1) / 2
    return Floor(2 * pairs * positions * data.x.shape[-1], 2 * 2 * 4 * 4 * pairs * positions)


def _pairs(values: Array) -> float:
    """The sum over pairs i <= j of a symmetric matrix."""
    return float((values.sum() + np.trace(values)) / 2)


_B: Final[Layers] = [dense(), RELU, attention(), RELU, POOL, dense()]
_CONVS: Final[Layers] = [conv(3, 3), RELU] * 4

WORKLOADS: Final[tuple[Workload, ...]] = (
    Workload(
        "a: dense-relu x 3, d 784, n 2000",
        [dense(), RELU] * 3 + [dense()],
        lambda: normal(2000, 784),
        no_floor,
        (0, 500, 1000),
    ),
    Workload(
        "b: attention, T 128, n 64", _B, lambda: normal(64, 128, 32), of_attention(), (4, 8, 16)
    ),
    Workload(
        "c: attention, T 256, n 24", _B, lambda: normal(24, 256, 32), of_attention(), (2, 4, 8)
    ),
    Workload(
        "d12: IMDb-like, n 12", IMDB, lambda: reviews_alike(12), of_attention(CONVOLVED), (2, 3, 4)
    ),
    Workload("d64: IMDb-like, n 64", IMDB, lambda: reviews_alike(64), of_attention(CONVOLVED), ()),
    Workload(
        "e: conv 3x3 x 4, pool, 16x16x3, n 24",
        [*_CONVS, POOL, dense()],
        lambda: normal(24, 16, 16, 3),
        of_blocks(8),
        (2, 4, 8),
    ),
    Workload(
        "f: conv 3x3 x 4, flatten, 16x16x3, n 100",
        [*_CONVS, {"type": "flatten"}, dense()],
        lambda: normal(100, 16, 16, 3),
        of_diagonals,
        (0, 25, 50),
    ),
    Workload(
        "g: attention to pooling, T 512, n 64",
        [dense(), RELU, attention(), POOL, dense()],
        lambda: normal(64, 512, 32),
        of_readout,
        (2, 4),
    ),
    Workload(
        "h: b for 20 values of w_std",
        _B,
        lambda: normal(64, 128, 32),
        of_attention(),
        (),
        sweep=tuple(float(w) for w in np.linspace(1, 2, 20)),
    ),
)
