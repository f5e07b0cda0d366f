"""The estimated error of the additive evaluation, pair by pair: it is never violated."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.engine.additive import Parts
from kernels.engine.additive_pairs import AdditivePairs
from kernels.engine.pairs import Pairs
from kernels.engine.workspace import Workspace
from kernels.estimate.shared import Shared
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from tests.kernels.networks import GELU, POOL, RELU, Array, Layer, attention, conv, dense, entries

ROUNDING = 1e-13
SHARPNESS = (0.2, 1.0, 4.0, 30.0)
"""qk_std: from an attention that averages everything to one that nearly picks single positions."""

SIGN: Layer = {"type": "sign"}
TANH: Layer = {"type": "elementwise", "fn": "tanh"}
FRONT = [dense(), RELU]
MECHANISMS: dict[str, tuple[list[Layer], dict[str, Any], Layer]] = {
    "softmax": ([conv(3), RELU], {}, RELU),
    "causal": (FRONT, {"causal": True}, RELU),
    "sparsemax": (FRONT, {"mechanism": "sparsemax"}, GELU),
    "l2": (FRONT, {"mechanism": "l2"}, RELU),
    "positions": (
        FRONT,
        {"positional": {"merge": "sum", "decay": {"type": "exponential", "length": 3}}},
        RELU,
    ),
}


def estimates_of(layers: list[Layer], x: Array, mask: Array) -> tuple[dict[str, Array], Array]:
    """What the additive evaluation makes of every pair i < j of one group, and its estimates."""
    network = parse_architecture({"layers": layers}).expanded
    inputs = read_inputs(x, mask, dtype="float64")
    with jax.enable_x64(True), Workspace() as workspace:
        shared = Shared.of(network, None)
        pairs = Pairs.of(network, inputs, None, True, "matrix", shared, workspace)
        parts = Parts.of(pairs.network)
        assert parts is not None
        return AdditivePairs.of(parts, pairs, workspace, None).additive_kernels()


def check(layers: list[Layer], x: Array, mask: Array) -> Array:
    """Estimates of all pairs, none of which is violated."""
    made, estimates = estimates_of(layers, x, mask)
    exact = kernel_matrix({"layers": layers}, x, mask1=mask, dtype="float64")
    above = np.triu_indices(len(x), 1)
    for name, kernel in exact.items():
        own = np.diag(kernel)
        error = np.abs(made[name] - kernel) / np.sqrt(np.outer(own, own))
        assert (error[above] <= estimates[above] + ROUNDING).all(), (name, layers)
    return estimates[above]


def made_up(n: int, size: int) -> tuple[Array, Array]:
    """Sequences of all lengths from 3 on: some of independent positions, some of alike ones."""
    x = entries((n, size, 4))
    x[::2] = np.cumsum(x[::2], axis=1) / size**0.5
    lengths = np.linspace(3, size, n).astype(int)
    return x, np.arange(size)[None, :] < lengths[:, None]


@pytest.mark.parametrize(
    "name",
    [
        name if name == "softmax" else pytest.param(name, marks=pytest.mark.slow)
        for name in MECHANISMS
    ],
)
def test_it_holds_for_random_inputs(name: str) -> None:
    front, given, activation = MECHANISMS[name]
    x, mask = made_up(10, 40)
    found: list[float] = []
    for sharpness in SHARPNESS:
        sharp = attention(**given) | {"qk_std": sharpness}
        layers = [*front, sharp, activation, POOL, dense()]
        found += check(layers, x, mask).tolist()
    # Nothing would be violated either if every pair was given up.
    assert np.mean(np.array(found) < 1e-2) > 0.1


@pytest.mark.parametrize(
    ("mechanism", "positions"), [("sparsemax", 2), ("softmax", 3), ("relu", 6)]
)
@pytest.mark.parametrize(
    "activation",
    [pytest.param(SIGN, id="sign"), pytest.param(TANH, id="tanh", marks=pytest.mark.slow)],
)
def test_it_holds_for_steep_functions_on_few_positions(
    mechanism: str, positions: int, activation: Layer
) -> None:
    given = {"type": "linear", "feature_map": "relu"} if mechanism == "relu" else mechanism
    layers = [*FRONT, attention(given), {"type": "layer_norm"}, activation, POOL, dense()]
    for seed in (0, 1, 5, 11, 24, 28):
        x = np.random.default_rng(seed).normal(size=(16, positions, 2))
        check(layers, x, np.ones((16, positions), bool))


@pytest.mark.slow
def test_it_holds_for_film_reviews(shared: Path) -> None:
    path = shared / "data" / "imdb_2000.npz"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in the maintainers' folder")
    from benchmarks.imdb import IMDB, reviews

    data, _ = reviews(str(path), 300)
    assert data.mask is not None
    by_length = np.argsort(data.mask.sum(1), kind="stable")
    chosen, size = by_length[np.linspace(0, 399, 20).astype(int)], 256
    x, mask = data.x[chosen, :size], data.mask[chosen, :size]
    for sharpness in (1.0, 2.0, 8.0):
        layers = [
            {**layer, "qk_std": sharpness} if layer["type"] == "attention" else layer
            for layer in IMDB
        ]
        estimates = check(layers, x, mask)
        # Attention as sharp as the last may leave nothing to do additively.
        assert sharpness > 2 or np.median(estimates) < 1e-3


def test_variances_of_zero_that_round_below_it_have_an_estimate() -> None:
    """Tokens that sum to zero, averaged: nothing is left but rounding, of either sign."""
    x = entries((12, 6, 3))
    x[:, -1] = -x[:, :-1].sum(1)
    layers = [attention(qk_std=0.0, b_std=0.0), RELU, POOL]
    _, estimates = estimates_of(layers, x, np.ones(x.shape[:2], bool))
    assert not np.isnan(estimates[np.triu_indices(len(x), 1)]).any()
