"""Many heads make attention Gaussian, one does not (Hron et al., arXiv 2006.10540).

Draws finite networks, softmax attention under 1/sqrt(d_k) scaling with independent query and key
weights at a large width, and measures the excess kurtosis of their outputs against the number of
heads. With one head logits stay random, so the output is a mixture of Gaussians of different
variances, however wide; the mean over H heads leaves kurtosis c / H. The limit of infinite width
says c too: 3 var(S) / mean(S)^2 for S = z^T K z, z the softmax of one query's Gaussian logits.

    python examples/gaussian_process_limit/heads.py            # a few minutes on two cores

writes docs/images/heads_kurtosis.png and prints the table of docs/finite.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kernels.architecture import parse_architecture
from kernels.finite.identity import identities
from kernels.finite.network import Row, finite_network
from kernels.inputs import read_inputs
from kernels.spec.width import Width

ROOT = Path(__file__).resolve().parent.parent.parent
HEADS = (1, 2, 4, 8, 16, 32, 64, 128)
QK_STD = 3.0
TOKENS, CHANNELS = 4, 8
LAYER = {"type": "attention", "mechanism": "softmax", "scaling": "sqrt", "qk_std": QK_STD}
GROUPS = 32
"""Groups of networks, whose spread gives the standard error."""

Array = np.ndarray[Any, Any]


def tokens() -> Array:
    """One input, (1, T, d): tokens at right angles, each of mean square 1."""
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(CHANNELS, TOKENS)))
    return (q.T * np.sqrt(CHANNELS))[None].astype(np.float32)


def outputs(heads: int, width: Width, networks: int, at_once: int) -> Array:
    """Outputs of the first token, (networks, units)."""
    network, numbers = finite_network(
        parse_architecture({"layers": [LAYER]}), CHANNELS, (TOKENS,), replace(width, heads=heads)
    )
    inputs = read_inputs(tokens())
    row = jax.tree.map(lambda leaf: leaf[0], Row.of(inputs, identities(inputs)[0]))

    @jax.jit
    def first_token(keys: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: network.apply(network.draw(key), numbers, row, key)[0])(keys)

    keys = jax.random.split(jax.random.key(heads), networks)
    parts = [first_token(keys[i : i + at_once]) for i in range(0, networks, at_once)]
    return np.concatenate([np.asarray(part) for part in parts]).astype(np.float64)


def directly(f: Array) -> tuple[Array, Array]:
    """Second and fourth moments of each network's outputs."""
    return (f**2).mean(1), (f**4).mean(1)


def by_pairs(f: Array) -> tuple[Array, Array]:
    """The same means with less noise.

    Given all but the output weights, outputs of one network are independent Gaussians of one
    variance, so that E f_a^4 = 3 E f_a^2 f_b^2 for two of them.
    """
    squares, count = (f**2).sum(1), f.shape[1]
    pairs = squares**2 - (f**4).sum(1)
    return squares / count, 3 * pairs / (count * (count - 1))


def excess_kurtosis(
    moments: Callable[[Array], tuple[Array, Array]], f: Array
) -> tuple[float, float]:
    """E[f^4] / E[f^2]^2 - 3 and its standard error, by leaving out groups of networks in turn.

    Outputs of one network depend on each other; networks do not.
    """
    second, fourth = (part.reshape(GROUPS, -1).mean(1) for part in moments(f))
    rest2, rest4 = ((part.sum() - part) / (GROUPS - 1) for part in (second, fourth))
    left_out = rest4 / rest2**2 - 3
    value = fourth.mean() / second.mean() ** 2 - 3
    return float(value), float(np.sqrt((GROUPS - 1) * left_out.var()))


def predicted(samples: int = 400_000) -> float:
    """c: the kurtosis of one head of infinite width."""
    k = tokens()[0] @ tokens()[0].T / CHANNELS
    root = np.linalg.cholesky(k + 1e-9 * np.eye(TOKENS))
    normals = np.random.default_rng(1).normal(size=(samples, TOKENS))
    logits = QK_STD * np.sqrt(k[0, 0]) * normals @ root.T
    z = np.exp(logits - logits.max(1, keepdims=True))
    z /= z.sum(1, keepdims=True)
    variance = np.einsum("si,ij,sj->s", z, k, z)
    return float(3 * variance.var() / variance.mean() ** 2)


def plot(
    found: dict[int, tuple[float, float]], c: float, few: Array, many: Array, path: Path
) -> None:
    """Kurtosis against heads, and two histograms."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    heads = np.array(list(found))
    kurtosis, error = np.array(list(found.values())).T
    left.errorbar(heads, kurtosis, 2 * error, fmt="o", capsize=3, label="networks, ±2 s.e.")
    left.plot(heads, c / heads, "--", color="grey", label=f"infinite width: {c:.2f} / heads")
    left.set(xscale="log", yscale="log", xlabel="heads", ylabel="excess kurtosis of an output")
    left.set_xticks(heads, [str(h) for h in heads])
    left.minorticks_off()
    left.legend(frameon=False)
    edges = np.linspace(-5, 5, 81)
    for values, label in ((few, f"{heads[0]} head"), (many, f"{heads[-1]} heads")):
        scaled = (values / values.std()).reshape(-1)
        right.hist(scaled, edges, density=True, histtype="step", label=label)
    right.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), "k:", label="Gaussian")
    right.set(yscale="log", ylim=(1e-5, 1), xlabel="output / standard deviation", ylabel="density")
    right.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--keys", type=int, default=256, help="d_k and d_v")
    parser.add_argument("--units", type=int, default=64, help="outputs of a network")
    parser.add_argument("--networks", type=int, default=4096, help="networks of up to 16 heads")
    parser.add_argument("--most-heads", type=int, default=HEADS[-1])
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/images/heads_kurtosis.png")
    arguments = parser.parse_args()
    found: dict[int, tuple[float, float]] = {}
    kept: dict[int, Array] = {}
    print(
        "| heads | networks | kurtosis, directly | by pairs | by pairs x heads |\n|---|---|---|---|---|"
    )
    for heads in (h for h in HEADS if h <= arguments.most_heads):
        networks = arguments.networks * 16 // max(16, heads) // GROUPS * GROUPS
        width = Width(arguments.units, keys=arguments.keys)
        kept[heads] = outputs(heads, width, networks, max(1, 256 // heads))
        direct, noise = excess_kurtosis(directly, kept[heads])
        value, error = found[heads] = excess_kurtosis(by_pairs, kept[heads])
        print(
            f"| {heads} | {networks} | {direct:.4f} ± {noise:.4f} | {value:.4f} ± {error:.4f} "
            f"| {heads * value:.3f} |",
            flush=True,
        )
    counts = np.array(list(found))
    values, errors = np.array(list(found.values())).T
    weight = 1 / errors**2
    c = (weight * values / counts).sum() / (weight / counts**2).sum()
    error = 1 / np.sqrt((weight / counts**2).sum())
    limit = predicted()
    print(f"\nfit of c / heads: c = {c:.3f} ± {error:.3f}; infinite width: c = {limit:.3f}")
    plot(found, limit, kept[counts[0]], kept[counts[-1]], arguments.plot)


if __name__ == "__main__":
    main()
