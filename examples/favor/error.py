"""How far FAVOR+ is from softmax attention (Choromanski et al., arXiv 2009.14794).

The relative error of softmax(q k^T / sqrt(d)) v when its exponentials are estimated by m random
features of each kind, with independent and with orthogonal projections: against m, and against the
size of queries and keys.

    python examples/favor/error.py            # about a minute on one core

writes docs/images/favor.png and prints the tables of docs/gallery.md.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels.finite.favor import VARIANTS, Variant, favor_attention, projections

ROOT = Path(__file__).resolve().parent.parent.parent
POSITIONS, CHANNELS = 128, 16
SCALE = 0.4
"""Standard deviation of queries and keys: logits have SCALE^2."""
FEATURES = (16, 32, 64, 128, 256, 512, 1024, 2048)
SCALES = (0.125, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
DRAWS = 32
FIXED = 256
"""Features where the scale is varied."""

Array = np.ndarray[Any, Any]
Kind = tuple[Variant, bool]
KINDS: tuple[Kind, ...] = tuple((variant, sides) for variant in VARIANTS for sides in (False, True))


def name_of(kind: Kind) -> str:
    return f"{kind[0]}, {'orthogonal' if kind[1] else 'independent'}"


@partial(jax.jit, static_argnames=("kind", "count"))
def distances(kind: Kind, count: int, scale: jax.Array) -> jax.Array:
    """|estimate - exact| / |exact| of every draw of `count` projections, (DRAWS,)."""
    variant, orthogonal = kind
    keys = jax.random.split(jax.random.key(0), 3)
    q, k, v = (jax.random.normal(key, (POSITIONS, CHANNELS)) for key in keys)
    q, k = scale * q, scale * k
    exact = jax.nn.softmax(q @ k.T / CHANNELS**0.5, axis=1) @ v

    def draw(key: jax.Array) -> jax.Array:
        w = projections(key, count, CHANNELS, orthogonal)
        return jnp.linalg.norm(favor_attention(q, k, v, w, variant) - exact)

    found = jax.lax.map(draw, jax.random.split(jax.random.key(1), DRAWS))
    return found / jnp.linalg.norm(exact)


def error(kind: Kind, features: int, scale: float) -> tuple[float, float]:
    """The median over draws of |estimate - exact| / |exact|, and about its standard error.

    The median, since single draws of trigonometric features divide by sums near zero. `features` is
    their number, so hyperbolic and trigonometric ones have half as many projections.
    """
    count = features if kind[0] == "positive" else features // 2
    relative = np.asarray(distances(kind, count, jnp.float32(scale)), np.float64)
    # Half of what lies between the quantiles one standard deviation of the median's rank apart.
    apart = 0.5 / DRAWS**0.5
    low, middle, high = np.quantile(relative, [0.5 - apart, 0.5, 0.5 + apart])
    return float(middle), float(high - low) / 2


def slope(errors: Array, counts: Array) -> float:
    """Of the logarithm of the error against that of m, over the upper half of m."""
    half = len(counts) // 2
    return float(np.polyfit(np.log(counts[half:]), np.log(errors[half:]), 1)[0])


def plot(by_count: dict[Kind, Array], by_scale: dict[Kind, Array], counts: Any, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    colours = dict(zip(VARIANTS, ("tab:blue", "tab:green", "tab:orange"), strict=True))
    for kind in KINDS:
        style = {"color": colours[kind[0]], "ls": "-" if kind[1] else "--", "ms": 4}
        left.loglog(counts, by_count[kind], marker="o", label=name_of(kind), **style)
        right.loglog(SCALES, by_scale[kind], marker="o", label=name_of(kind), **style)
    guide = 0.6 * by_count[KINDS[-1]][-1] * (np.array(counts) / counts[-1]) ** -0.5
    left.loglog(counts, guide, "k:", lw=1, label="slope -1/2")
    left.set(xlabel="features", ylabel="relative error of the output (median)")
    left.set_title(f"queries and keys of standard deviation {SCALE:g}", fontsize=10)
    left.set_xticks(counts, [str(count) for count in counts])
    left.legend(frameon=False, fontsize=8)
    right.set(xlabel="standard deviation of queries and keys")
    right.set_title(f"{FIXED} features", fontsize=10)
    right.set_xticks(SCALES, [f"{scale:g}" for scale in SCALES])
    for axes in (left, right):
        axes.xaxis.minorticks_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--most", type=int, default=FEATURES[-1], help="features, at most")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/images/favor.png")
    arguments = parser.parse_args()
    counts = tuple(count for count in FEATURES if count <= arguments.most)
    print("| features | " + " | ".join(f"m = {count}" for count in counts) + " | slope |")
    print("|---|" + "---|" * (len(counts) + 1))
    by_count: dict[Kind, Array] = {}
    for kind in KINDS:
        found = [error(kind, count, SCALE) for count in counts]
        by_count[kind] = np.array(found)[:, 0]
        cells = " | ".join(f"{value:.4f} ± {noise:.4f}" for value, noise in found)
        last = slope(by_count[kind], np.array(counts))
        print(f"| {name_of(kind)} | {cells} | {last:.2f} |", flush=True)
    print(f"\nwith {FIXED} features\n\n| scale | " + " | ".join(f"{s:g}" for s in SCALES) + " |")
    print("|---|" + "---|" * len(SCALES))
    by_scale: dict[Kind, Array] = {}
    for kind in KINDS:
        by_scale[kind] = np.array([error(kind, FIXED, scale)[0] for scale in SCALES])
        print(f"| {name_of(kind)} | " + " | ".join(f"{e:.3f}" for e in by_scale[kind]) + " |")
    plot(by_count, by_scale, counts, arguments.plot)


if __name__ == "__main__":
    main()
