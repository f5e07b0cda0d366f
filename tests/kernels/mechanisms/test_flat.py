"""Products with the mixing matrices of flat attention, half of them in bfloat16, are as good as in float32.

The oracle is NumPy in float64. What computes in float32 throughout gives NaN here, so that finite numbers
were found the other way; both ways are taken on every processor.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from kernels.mechanisms.flat import Flat, congruences_if_flat
from kernels.mechanisms.softmax import softmax_rows

Array = np.ndarray[Any, Any]

LIMIT = 2.0**-19
"""Of what the products may be off, root mean square, a part of the kernel."""


class Pair:
    """Two inputs below an attention, of ReLU units over `channels`, K and Theta + 2 K in float64."""

    def __init__(
        self,
        sizes: tuple[int, int],
        channels: int,
        qk_std: float = 1.0,
        repeats: int = 1,
        masked: int = 0,
        alike: float = 0.0,
        seed: int = 0,
    ) -> None:
        random = np.random.default_rng(seed)
        x1, x2 = (random.normal(size=(-(-size // repeats), channels)) for size in sizes)
        x1, x2 = (np.repeat(x, repeats, 0)[:size] for x, size in zip((x1, x2), sizes, strict=True))
        if alike:
            x2 = x1 + np.sqrt(1 - alike**2) * x2
        self.own = tuple(rectified(x, x)[0] for x in (x1, x2))
        k, slope = rectified(x1, x2)
        self.kernels = np.stack([k, x1 @ x2.T / channels * slope + 3 * k], axis=1)
        visible = np.arange(sizes[0]) < sizes[0] - masked
        self.sides = tuple(
            np.asarray(softmax_rows(jnp.asarray(qk_std * own, jnp.float32), None))
            for own in self.own
        )
        if masked:
            sees = jnp.asarray(np.broadcast_to(visible, (sizes[0], sizes[0])))
            weights = softmax_rows(jnp.asarray(qk_std * self.own[0], jnp.float32), sees)
            self.sides = (np.asarray(weights) * visible[:, None], self.sides[1])

    @property
    def expected(self) -> Array:
        """A K A'^T of both kernels, (P, 2, P')."""
        one, two = (side.astype(float) for side in self.sides)
        return np.einsum("ik,kcl,jl->icj", one, self.kernels, two, optimize=True)

    def found(self, scale: float = 1.0) -> Array:
        """The same by `congruences_if_flat`, of kernels times `scale`; NaN where these are not flat."""
        own = [jnp.asarray(scale * k, jnp.float32) for k in self.own]
        kernels = jnp.asarray(scale * self.kernels, jnp.float32)
        return np.asarray(found_if_flat(*map(jnp.asarray, self.sides), *own, kernels)) / scale

    def error(self, found: Array) -> Array:
        """Root mean square over real entries, a part of what each kernel measures, (2,)."""
        means = [side.sum(0) / side.sum() for side in self.sides]
        roots = [np.sqrt(mean @ own @ mean) for mean, own in zip(means, self.own, strict=True)]
        of_pair = np.einsum("k,kcl,l->c", means[0], self.kernels, means[1])
        real = np.outer(*(side.sum(1) > 0.5 for side in self.sides)).sum()
        off = np.sqrt(((found - self.expected) ** 2).sum((0, 2)) / real)
        return off / np.maximum(np.prod(roots), np.abs(of_pair))


@jax.jit
def found_if_flat(
    one: jax.Array, two: jax.Array, own1: jax.Array, own2: jax.Array, kernels: jax.Array
) -> jax.Array:
    facts = Flat.of(one, own1), Flat.of(two, own2)
    otherwise = jnp.full(kernels.shape, jnp.nan)
    return congruences_if_flat((one, two), facts, kernels, lambda: otherwise)


def rectified(one: Array, two: Array) -> tuple[Array, Array]:
    """E[relu(u) relu(v)] and E[relu'(u) relu'(v)] of Gaussians with the covariance of the rows."""
    lengths = np.sqrt((one**2).mean(1))[:, None], np.sqrt((two**2).mean(1))[None, :]
    cosine = np.clip(one @ two.T / one.shape[1] / (lengths[0] * lengths[1]), -1, 1)
    angle = np.arccos(cosine)
    slope = (np.pi - angle) / (2 * np.pi)
    arc = np.sqrt(1 - cosine**2) / (2 * np.pi)
    return lengths[0] * lengths[1] * (arc + cosine * slope), slope


FLAT = {
    "as many channels as words have": Pair((192, 256), 50),
    "few channels, whose errors add up": Pair((256, 256), 4, qk_std=0.3),
    "one channel": Pair((256, 192), 1, qk_std=0.02),
    "twelve tokens, each sixteen times": Pair((192, 192), 32, repeats=16),
    "masked": Pair((200, 256), 50, masked=30),
}


@pytest.mark.parametrize("name", FLAT)
def test_flat_attention_is_as_good_as_in_float32(name: str) -> None:
    assert (FLAT[name].error(FLAT[name].found()) < LIMIT).all()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_at_every_scale(scale: float) -> None:
    pair = FLAT["masked"]
    assert (pair.error(pair.found(scale)) < LIMIT).all()


@pytest.mark.parametrize(
    "pair",
    [
        Pair((192, 256), 50, qk_std=30.0),
        Pair((192, 192), 2, qk_std=3.0),
        Pair((192, 192), 50, alike=1 - 1e-9),
        Pair((192, 192), 50, masked=192),
    ],
    ids=["sharp", "sharp at a few", "all but the same input", "nothing real"],
)
def test_others_are_computed_in_float32(pair: Pair) -> None:
    assert np.isnan(pair.found()).all()


def test_what_is_no_number_is_not_flat() -> None:
    pair = Pair((192, 192), 50)
    pair.kernels[3, 0, 5] = np.nan
    assert np.isnan(pair.found()).all()


@pytest.mark.parametrize("repeats", [1, 2, 16, 96])
@pytest.mark.parametrize("channels", [1, 2, 8, 64])
def test_whatever_is_let_through_is_good(channels: int, repeats: int) -> None:
    """From flat to sharp, the limit holds wherever it is said to; roundings of repeated positions agree."""
    through = 0
    for seed, qk_std in enumerate(np.geomspace(0.003, 30, 20)):
        pair = Pair((256, 192), channels, qk_std, repeats, seed=seed)
        found = pair.found()
        if not np.isnan(found).any():
            through += 1
            assert (pair.error(found) < LIMIT).all(), qk_std
    assert 0 < through < 20


def test_kernels_of_flat_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole network, lengths and masks, in float32 with bfloat16 and in float64."""
    # On whatever processor: no other test has this network, so that nothing of it is compiled yet.
    monkeypatch.setattr("kernels.mechanisms.mixing.multiplies_bfloat16", lambda: True)
    monkeypatch.setattr("kernels.engine.passes.multiplies_bfloat16", lambda: True)
    dense, relu = {"type": "dense", "w_std": 1.4, "b_std": 0.3}, {"type": "relu"}
    attention = {"type": "attention", "ov_std": 1.2, "b_std": 0.2}
    pool = {"type": "global_avg_pool"}
    layers = [dense, relu, attention, relu, attention, relu, pool, dense]
    random = np.random.default_rng(0)
    lengths = np.array([140, 150, 185, 190, 250, 256])
    mask = np.arange(256) < lengths[:, None]
    x = random.normal(size=(6, 256, 8)) * mask[..., None]
    found = kernel_matrix({"layers": layers}, x.astype(np.float32), mask1=mask)
    expected = kernel_matrix({"layers": layers}, x, mask1=mask, dtype="float64")
    for name in ("nngp", "ntk"):
        root = np.sqrt(np.diag(expected[name]))
        off = np.abs(found[name] - expected[name]) / np.outer(root, root)
        # Inputs with themselves are not computed so.
        assert off[~np.eye(6, dtype=bool)].max() < 1e-6
