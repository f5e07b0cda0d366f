"""Invertible attention gives its input back (Kim et al., arXiv 2006.04710, section 5.2).

g(x) = x + c f(x) / L is inverted by fixed-point iteration, f being L2 attention and L the bound of
its Lipschitz constant, or dot-product attention with the same weights, divided by the same L since
it has no constant of its own. For inputs of growing scale, and for the L2 layer also at an input
where gradient ascent has made its Jacobian large, so that the iteration has work to do.

    python examples/invertible_attention/reconstruct.py            # under a minute on one core

writes docs/images/invertible.png and prints the tables of docs/gallery.md.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels.finite.invertible import ResidualBlock
from kernels.finite.l2_attention import dot_product_attention, draw_weights, l2_attention
from kernels.finite.lipschitz import lipschitz_bounds, norms_of
from kernels.finite.sensitivity import climb

ROOT = Path(__file__).resolve().parent.parent.parent
POSITIONS, CHANNELS, HEADS = 4, 2, 1
SCALES = (1.0, 10.0, 100.0)
CONTRACTIONS = (0.5, 0.9, 0.99)
SHOWN = 0.9
MOST = 30
"""Iterations that are shown."""

Array = np.ndarray[Any, Any]


def errors(block: ResidualBlock, x: jax.Array) -> Array:
    """|x_n - x| / |x| after n = 1..MOST iterations from y = g(x)."""

    def after(n: jax.Array) -> jax.Array:
        found = block.invert(block.apply(x), tolerance=0.0, most=n)
        return jnp.linalg.norm(found.x - x) / jnp.linalg.norm(x)

    return np.asarray(jax.lax.map(after, jnp.arange(1, MOST + 1)))


def plot(curves: dict[str, Array], promised: Array, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 4.2), sharey=True, layout="constrained"
    )
    iterations = np.arange(1, MOST + 1)
    for axes, layer in ((left, "L2"), (right, "dot product")):
        for number, (name, error) in enumerate(curves.items()):
            kind, _, label = name.partition(", ")
            if kind == layer:
                axes.semilogy(
                    iterations,
                    np.maximum(error, 1e-17),
                    "o-",
                    ms=3,
                    color=f"C{number % 4}",
                    label=label,
                )
        axes.set(xlabel="iterations", ylim=(3e-18, 1e4))
        axes.set_title(f"{layer} attention, c = {SHOWN}", fontsize=10)
    left.semilogy(iterations, promised, "k:", lw=1, label="promised: $c^{n+1}$")
    left.set_ylabel("error of the reconstruction, relative")
    left.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    right.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/images/invertible.png")
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        weights = draw_weights(jax.random.key(0), CHANNELS, HEADS, dtype="float64")
        bound = lipschitz_bounds(norms_of(*(np.asarray(w) for w in weights)), POSITIONS).two
        l2, dot = partial(l2_attention, weights), partial(dot_product_attention, weights)
        x = jax.random.normal(jax.random.key(1), (POSITIONS, CHANNELS)).at[0].set(0)
        steep, worst = jax.jit(lambda x: climb(l2, x, "two", 150))(2 * x)
        print(f"bound {bound:.2f}, largest Jacobian found by ascent {float(steep):.2f}\n")
        inputs = {f"scale {scale:g}": scale * x for scale in SCALES} | {
            "steepest found for L2": worst
        }
        curves: dict[str, Array] = {}
        print("| layer | input | c | converged | iterations | residual | true error |")
        print("|---|---|---|---|---|---|---|")
        for name, layer in (("L2", l2), ("dot product", dot)):
            for place, at in inputs.items():
                for c in CONTRACTIONS:
                    block = ResidualBlock(layer, bound, c)
                    found = jax.jit(partial(block.invert, tolerance=1e-13))(block.apply(at))
                    error = float(jnp.linalg.norm(found.x - at) / jnp.linalg.norm(at))
                    print(
                        f"| {name} | {place} | {c} | {'yes' if found.converged else 'no'} "
                        f"| {int(found.iterations)} | {float(found.residual):.1e} | {error:.1e} |",
                        flush=True,
                    )
                curves[f"{name}, {place}"] = errors(ResidualBlock(layer, bound, SHOWN), at)
    # |x_0 - x| = |c f(x) / L| is at most c |x| here, f being 0 at 0.
    plot(curves, SHOWN ** np.arange(2.0, MOST + 2), arguments.plot)


if __name__ == "__main__":
    main()
