"""What readout contraction, mixed inputs and thin factors save, each against the same network without them.

    make bench-attention

prints the tables of docs/performance.md. Every ratio is the median over alternated runs of one
process, so that a busy machine slows both alike.

Contraction: attention followed by dense and pooling, against the same with a convolution of one
position in place of the dense layer. Their kernels are equal, but nothing is known of a
convolution's blocks but that every pair of positions is needed, so A K A'^T is computed for each
pair of inputs.

Mixed inputs: attention over raw inputs, against the same over a dropout layer that drops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kernels.compiler_options import COMPILER_OPTIONS
from kernels.matrix import KernelMatrices, kernel_matrix
from kernels.mechanisms.mixing import Mixing, congruences

Layer = dict[str, Any]
Array = npt.NDArray[Any]

RUNS = 7
CHANNELS = 32
# Positions and inputs.
SIZES = ((128, 24), (256, 12), (512, 6))
LONGEST, RANK = 512, 128

RELU: Layer = {"type": "relu"}
POOL: Layer = {"type": "global_avg_pool"}
DENSE: Layer = {"type": "dense", "w_std": 2**0.5, "b_std": 0.1}
NOTHING_DROPPED: Layer = {"type": "dropout", "rate": 1.0}
WINDOW_OF_ONE: Layer = {"type": "conv", "window": [1], "w_std": 2**0.5, "b_std": 0.1}


def attention(mechanism: Any = "softmax") -> Layer:
    return {"type": "attention", "mechanism": mechanism, "b_std": 0.1}


def inputs(positions: int, count: int) -> Array:
    return np.random.default_rng(0).normal(size=(count, positions, CHANNELS)).astype(np.float32)


def seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each call, which take turns; compiled before."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(RUNS):
        for name, call in calls.items():
            started = perf_counter()
            call()
            taken[name].append(perf_counter() - started)
    return {name: float(np.median(times)) for name, times in taken.items()}


def difference(one: KernelMatrices, two: KernelMatrices) -> float:
    """The largest, relative to sqrt(K(x, x) K(x', x'))."""
    worst = [0.0]
    for name, kernel in two.items():
        scale = np.sqrt(np.diag(kernel).astype(float))
        worst.append(float((np.abs(one[name] - kernel) / np.outer(scale, scale)).max()))
    return max(worst)


def contraction() -> None:
    below = [DENSE, RELU, attention()]
    beside_the_long_way([*below, DENSE, POOL], [*below, WINDOW_OF_ONE, POOL])


def mixed_inputs() -> None:
    layers = [attention(), RELU, POOL, DENSE]
    beside_the_long_way(layers, [NOTHING_DROPPED, *layers])


def beside_the_long_way(short: list[Layer], long: list[Layer]) -> None:
    """Two networks with the same kernels."""
    print("| positions | inputs | short | the long way | ratio | difference |")
    print("|---|---|---|---|---|---|")
    networks = {"short": {"layers": short}, "long": {"layers": long}}
    for positions, count in SIZES:
        x = inputs(positions, count)
        one, two = (kernel_matrix(network, x) for network in networks.values())
        time = seconds({name: partial(kernel_matrix, n, x) for name, n in networks.items()})
        cells = " | ".join(f"{1e3 * time[name]:.0f} ms" for name in networks)
        ratio = time["long"] / time["short"]
        print(f"| {positions} | {count} | {cells} | {ratio:.1f} | {difference(one, two):.0e} |")


def products() -> None:
    """A K A'^T and A (Theta + 2 K) A'^T of one pair on one thread, dense and in factors."""
    print("| dtype | dense | factors | ratio |")
    print("|---|---|---|---|")
    random = np.random.default_rng(0)
    shapes = ((LONGEST, LONGEST), (LONGEST, RANK), (RANK, LONGEST))
    run = jax.jit(congruences, compiler_options=COMPILER_OPTIONS)

    def computed(a: Mixing, k: jax.Array) -> None:
        jax.block_until_ready(run(a, k, k, a))

    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            block, write, read = (jnp.asarray(random.normal(size=s), dtype) for s in shapes)
            forms = {"dense": Mixing(block), "factors": Mixing(read, write)}
            time = seconds({name: partial(computed, a, block) for name, a in forms.items()})
        cells = " | ".join(f"{1e3 * time[name]:.1f} ms" for name in forms)
        print(f"| {dtype} | {cells} | {time['dense'] / time['factors']:.1f} |")


def mechanisms() -> None:
    print("| mechanism | error of A | difference of the kernels | time | ratio |")
    print("|---|---|---|---|---|")
    x = inputs(LONGEST, 16)
    specs: dict[str, Any] = {
        "softmax": "softmax",
        f"softmax, rank {RANK}": {"type": "softmax", "rank": RANK},
        **{
            f"performer, {variant}": {"type": "performer", "features": RANK, "variant": variant}
            for variant in ("positive", "hyperbolic", "trigonometric")
        },
    }
    networks = {
        name: {"layers": [DENSE, RELU, attention(spec), RELU, POOL]} for name, spec in specs.items()
    }
    found = {name: kernel_matrix(network, x) for name, network in networks.items()}
    time = seconds({name: partial(kernel_matrix, n, x) for name, n in networks.items()})
    for name, kernels in found.items():
        error = kernels.error_estimate.get("mixing", 0.0)
        off = difference(kernels, found["softmax"])
        ratio = time["softmax"] / time[name]
        print(f"| {name} | {error:.3f} | {off:.0e} | {1e3 * time[name]:.0f} ms | {ratio:.1f} |")


def accuracy() -> None:
    """Errors of A by rank, and what a bound by the trace of what is left would say."""
    print("| logits | rank | softmax | performer | bound by the trace |")
    print("|---|---|---|---|---|")
    random = np.random.default_rng(0)
    rows = random.normal(size=(128, 64))
    cases = {"raw": rows @ rows.T / 64, "after dense and relu": None}
    hidden = np.maximum(rows @ random.normal(size=(64, 4096)) / 8, 0)
    cases["after dense and relu"] = 2 * hidden @ hidden.T / 4096
    for case, unit in cases.items():
        for size in (1, 4):
            for rank in (16, 32, 64):
                print(_accuracy_row(f"{case}, {size}", size * unit, rank))


def _accuracy_row(case: str, logits: Array, rank: int) -> str:
    from kernels.mechanisms.performer import Performer
    from kernels.mechanisms.softmax import Softmax

    with jax.enable_x64(True):
        given = jnp.asarray(logits)
        low = Softmax(rank=rank).mixing(given, None, {}).error
        drawn = [
            Performer(features=rank, seed=seed).mixing(given, None, {}).error for seed in range(8)
        ]
    assert low is not None
    bound = trace_bound(logits, rank)
    mean = np.mean([float(error) for error in drawn if error is not None])
    return f"| {case} | {rank} | {float(low):.3f} | {mean:.2f} | {bound:.1f} |"


def trace_bound(logits: Array, rank: int) -> float:
    """2 sqrt(R_ii) sum_j sqrt(R_jj) / sum_j exp(C_ij), the largest over rows i.

    R, what rank - 1 pivots leave of exp(C), is positive semidefinite: |R_ij|^2 <= R_ii R_jj.
    """
    left = np.exp(logits)
    total = left.sum(1)
    for _ in range(rank - 1):
        pivot = int(np.argmax(np.diag(left)))
        left = left - np.outer(left[:, pivot], left[pivot]) / left[pivot, pivot]
    root = np.sqrt(np.maximum(np.diag(left), 0))
    return float((2 * root * root.sum() / total).max())


def main() -> None:
    for table in (contraction, mixed_inputs, products, mechanisms, accuracy):
        table()
        print()


if __name__ == "__main__":
    main()
