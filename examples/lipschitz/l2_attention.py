"""Dot-product attention is not Lipschitz, L2 attention is (Kim et al., arXiv 2006.04710).

On the left, the spectral norm of the Jacobian of both, with the same weights, against the scale of
the input: one token at 0, the others Gaussian. On the right, as in the paper's figure 2, the largest
norm that gradient ascent over inputs finds, against the upper bound, for one head of one channel and
unit weights, and inputs of N positions.

    python examples/lipschitz/l2_attention.py            # about two minutes on one core

writes docs/images/lipschitz.png and prints the tables of docs/gallery.md.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels.finite.l2_attention import (
    AttentionWeights,
    dot_product_attention,
    draw_weights,
    l2_attention,
)
from kernels.finite.lipschitz import lipschitz_bounds, norms_of
from kernels.finite.sensitivity import NormName, climb, jacobian_norm

ROOT = Path(__file__).resolve().parent.parent.parent
POSITIONS, CHANNELS, HEADS = 16, 8, 2
SCALES = 10.0 ** np.arange(-2, 3.01, 0.25)
LENGTHS: dict[NormName, tuple[int, ...]] = {
    "infinity": (2, 4, 8, 16, 32, 64, 128, 256, 512),
    "two": (2, 4, 8, 16, 32, 64),
}
STARTS, STEPS = 8, 300

Array = np.ndarray[Any, Any]


def bounds_of(weights: AttentionWeights, length: int) -> dict[NormName, float]:
    found = lipschitz_bounds(norms_of(*(np.asarray(w) for w in weights)), length)
    return {"two": found.two, "infinity": found.infinity}


def against_scale() -> tuple[dict[str, Array], float]:
    """Norms of both Jacobians at every scale, and the bound of L2 attention."""
    weights = draw_weights(jax.random.key(0), CHANNELS, HEADS, dtype="float64")
    x = jax.random.normal(jax.random.key(1), (POSITIONS, CHANNELS)).at[0].set(0)
    inputs = jnp.asarray(SCALES)[:, None, None] * x[None]
    found: dict[str, Array] = {}
    for name, layer in (("dot product", dot_product_attention), ("L2", l2_attention)):
        norm = partial(jacobian_norm, partial(layer, weights), norm="two")
        found[name] = np.asarray(jax.lax.map(norm, inputs))
    return found, bounds_of(weights, POSITIONS)["two"]


def climbed(length: int, norm: NormName, seed: int) -> float:
    """The largest norm found from `STARTS` inputs; tokens may be permuted, so in the infinity-norm
    the first output stands for all."""
    ones = AttentionWeights(jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1)), jnp.ones((1, 1)))

    def layer(x: jax.Array) -> jax.Array:
        y = l2_attention(ones, x)
        return y[:1] if norm == "infinity" else y

    spread = jnp.geomspace(0.5, 4, STARTS)[:, None, None]
    starts = spread * jax.random.normal(jax.random.key(seed), (STARTS, length, 1))
    best, _ = jax.jit(lambda x: jax.lax.map(lambda one: climb(layer, one, norm, STEPS), x))(starts)
    return float(best.max())


def plot(
    scale: dict[str, Array],
    bound: float,
    length: dict[NormName, tuple[Array, Array]],
    path: Path,
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    left.loglog(SCALES, scale["dot product"], "o-", ms=4, color="tab:red", label="dot product")
    left.loglog(SCALES, scale["L2"], "s-", ms=4, color="tab:blue", label="L2")
    left.axhline(bound, color="tab:blue", ls="--", label="upper bound for L2")
    left.set(xlabel="scale of the input", ylabel="2-norm of the Jacobian")
    left.set_title("16 tokens, one of them at 0", fontsize=10)
    left.legend(frameon=False)
    colours: dict[NormName, str] = {"infinity": "tab:green", "two": "tab:purple"}
    names: dict[NormName, str] = {"infinity": "infinity-norm", "two": "2-norm"}
    for norm, (found, upper) in length.items():
        counts = LENGTHS[norm][: len(found)]
        right.loglog(counts, upper, "--", color=colours[norm], label=f"upper bound, {names[norm]}")
        right.loglog(counts, found, "o", ms=5, color=colours[norm], label=f"found, {names[norm]}")
    right.set(xlabel="positions N", ylabel="Lipschitz constant")
    ticks = LENGTHS["infinity"]
    right.set_xticks(ticks, [str(n) for n in ticks])
    right.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    right.minorticks_off()
    right.set_title("the largest Jacobian that ascent finds", fontsize=10)
    right.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--longest", type=int, default=512, help="positions, at most")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/images/lipschitz.png")
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        scale, bound = against_scale()
        print("| scale of the input | dot product | L2 | bound of L2 |\n|---|---|---|---|")
        for i in range(0, len(SCALES), 4):
            row = (scale["dot product"][i], scale["L2"][i], bound)
            print(f"| {SCALES[i]:g} | " + " | ".join(f"{value:.3g}" for value in row) + " |")
        print("\n| norm | N | found | upper bound | found / bound |\n|---|---|---|---|---|")
        length: dict[NormName, tuple[Array, Array]] = {}
        ones = AttentionWeights(*(np.ones(shape) for shape in ((1, 1, 1), (1, 1, 1), (1, 1))))
        for norm, counts in LENGTHS.items():
            pairs: list[tuple[float, float]] = []
            for count in (n for n in counts if n <= arguments.longest):
                found, upper = climbed(count, norm, count), bounds_of(ones, count)[norm]
                if found > upper * (1 + 1e-12):
                    raise SystemExit(f"{norm}-norm, N = {count}: {found} passes the bound {upper}")
                pairs.append((found, upper))
                print(
                    f"| {norm} | {count} | {found:.3f} | {upper:.3f} | {found / upper:.3f} |",
                    flush=True,
                )
            length[norm] = (np.array(pairs)[:, 0], np.array(pairs)[:, 1])
    plot(scale, bound, length, arguments.plot)


if __name__ == "__main__":
    main()
