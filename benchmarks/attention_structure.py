"""What readout contraction, mixed inputs, thin factors and flat attention save, each against the same without.

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
from kernels.mechanisms.softmax import softmax_rows

Layer = dict[str, Any]
Array = npt.NDArray[Any]

RUNS = 7
CHANNELS = 32
# Positions and inputs.
SIZES = ((128, 24), (256, 12), (512, 6))
LONGEST, RANK = 512, 128
LENGTHS, PAIRS = (128, 256, 492), 16

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
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            block, write, read = (jnp.asarray(random.normal(size=s), dtype) for s in shapes)
            forms = {"dense": Mixing(block), "factors": Mixing(read, write)}
            time = seconds({name: partial(mixed, a, block) for name, a in forms.items()})
        cells = " | ".join(f"{1e3 * time[name]:.1f} ms" for name in forms)
        print(f"| {dtype} | {cells} | {time['dense'] / time['factors']:.1f} |")


@partial(jax.jit, compiler_options=COMPILER_OPTIONS)
def both_kernels(a: Mixing, k: jax.Array) -> tuple[jax.Array, ...]:
    """A k A^T and A 2k A^T, as of two inputs that happen to be alike."""
    return congruences(a, [k, 2 * k], a, identical=False)


def mixed(a: Mixing, k: jax.Array) -> None:
    jax.block_until_ready(both_kernels(a, k))


def flat_attention() -> None:
    """The same products in float32, and where flat attention is looked for first (kernels/mechanisms/flat.py):
    it is found for flat logits, and for sharp ones it is not. A ratio of 1 where the processor multiplies no
    bfloat16."""
    print("| positions | attention | float32 | looked for | ratio |")
    print("|---|---|---|---|---|")
    random = np.random.default_rng(0)
    for positions in LENGTHS:
        x = random.normal(size=(positions, 4 * CHANNELS))
        k = jnp.asarray(x @ x.T / x.shape[1], jnp.float32)
        # Of other inputs, none of them nearly equal to this one.
        shape = PAIRS, positions, positions
        between = jnp.asarray(0.5 + 0.1 * random.normal(size=shape), jnp.float32)
        for name, scale in (("flat", 0.1), ("sharp", 30.0)):
            a = Mixing(softmax_rows(scale * k, None))
            ways = {"float32": a, "looked for": a.with_flat(k + 1)}
            time = seconds({way: partial(mixed_each, a, between) for way, a in ways.items()})
            cells = " | ".join(f"{1e3 * time[way] / PAIRS:.2f} ms" for way in ways)
            print(
                f"| {positions} | {name} | {cells} | {time['looked for'] / time['float32']:.2f} |"
            )


@partial(jax.jit, compiler_options=COMPILER_OPTIONS)
def sums_of_each(a: Mixing, kernels: jax.Array) -> jax.Array:
    """What a pool makes of both kernels of each pair of inputs, which are written to no fresh memory."""

    def pair(k: jax.Array) -> jax.Array:
        return jnp.stack([jnp.abs(m).sum() for m in congruences(a, [k, 2 * k], a, False)])

    return jax.lax.map(pair, kernels)


def mixed_each(a: Mixing, kernels: jax.Array) -> None:
    jax.block_until_ready(sums_of_each(a, kernels))


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
    hidden = np.maximum(rows @ random.normal(size=(64, 4096)) / 8, 0)
    cases = {"raw": rows @ rows.T / 64, "after dense and relu": 2 * hidden @ hidden.T / 4096}
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
    for table in (contraction, mixed_inputs, products, flat_attention, mechanisms, accuracy):
        table()
        print()


if __name__ == "__main__":
    main()
