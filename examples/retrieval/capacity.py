"""How many associations a fast-weight memory holds (Schlag, Irie & Schmidhuber, arXiv 2102.11174).

Section 6.1 of the paper: a sequence of S pairs of key and value is written into a memory, then one
key is asked for; values are one-hot, keys have 64 channels, and what is trained, with the loss
1/2 |value - answer|^2, is how keys and queries are represented.

    setting 1   S unique keys, each written once: capacity. A memory of d_dot features returns
                answers of rank d_dot, so the loss is at least 1/2 (1 - d_dot / S).
    setting 2   2 S pairs whose keys and values are drawn with replacement, so that writes have to
                replace what stood there: the additive rule against the delta rule.

Here keys and queries are trained directly, as S free vectors of 64 channels each (in the paper: as
linear maps of embeddings wider than S, which can become any vectors; they may also look at the
value), and all S keys are asked for at once, which is the paper's random question on average. FAVOR+
draws its projections anew in every step, as there.

    python examples/retrieval/capacity.py            # about three minutes on one core

writes docs/images/retrieval.png and prints the tables of docs/gallery.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kernels.finite.fast_weights import delta_writes, sum_normalised
from kernels.finite.favor import favor_mixing, projections
from kernels.mechanisms.features import dpfp, elu_plus_one

ROOT = Path(__file__).resolve().parent.parent.parent
CHANNELS = 64
UNIQUE = (20, 60, 100, 200, 300, 400, 600)
REPLACED = (20, 60, 100, 200)
SEQUENCES = 2
"""Of setting 2, in one step of training."""
SEED = 0
RATE, FAVOR_RATE = 0.2, 0.1
"""Of Adam: the better of 0.1 and 0.2 for each. At 0.2 the noise of FAVOR+ wins; elu + 1 needs it."""

Features = Callable[[Array], Array]
"""vectors (S, 64) -> (S, d_dot)."""
Loss = Callable[[dict[str, Array], Array], Array]
"""(weights by name, key of the step's random draws) -> ()."""

FEATURES: dict[str, tuple[int, Features]] = {
    "elu + 1": (CHANNELS, elu_plus_one),
    "DPFP-1": (2 * CHANNELS, dpfp),
    "DPFP-2": (4 * CHANNELS, partial(dpfp, nu=2)),
    "DPFP-3": (6 * CHANNELS, partial(dpfp, nu=3)),
}


def softmax_once(weights: dict[str, Array], key: Array) -> Array:
    """Setting 1 with a memory that keeps every key: softmax attention."""
    return squared(jax.nn.softmax(weights["q"] @ weights["k"].T / CHANNELS**0.5, axis=1))


def favor_once(count: int, weights: dict[str, Array], key: Array) -> Array:
    """Setting 1 with hyperbolic FAVOR+ features of `count` projections, which are 2 `count`."""
    w = projections(key, count, CHANNELS)
    return squared(favor_mixing(weights["q"], weights["k"], w, "hyperbolic"))


def additive_once(features: Features, weights: dict[str, Array], key: Array) -> Array:
    """Setting 1 with the additive rule and attention normalisation; order is of no account."""
    products = features(weights["q"]) @ features(weights["k"]).T
    return squared(products / products.sum(1, keepdims=True))


def delta_once(features: Features, weights: dict[str, Array], key: Array) -> Array:
    """Setting 1 with the delta rule, keys in a random order, features that sum to 1."""
    order = jax.random.permutation(key, len(weights["k"]))
    k = sum_normalised(features(weights["k"][order]))
    q = sum_normalised(features(weights["q"][order]))
    values = jnp.eye(len(k))
    return squared(q @ k.T @ delta_writes(k, values, jax.nn.sigmoid(weights["beta"][order])))


def squared(answers: Array) -> Array:
    """1/2 |e_i - answer_i|^2, the mean over i."""
    return 0.5 * ((answers - jnp.eye(len(answers))) ** 2).sum(1).mean()


def replaced(rule: str, features: Features, weights: dict[str, Array], key: Array) -> Array:
    """Setting 2: the mean loss over all keys that occur, in `SEQUENCES` sequences."""
    count = len(weights["k"])
    k, q = features(weights["k"]), features(weights["q"])
    if rule == "delta":
        k, q = sum_normalised(k), sum_normalised(q)

    def one(key: Array) -> tuple[Array, Array]:
        of_keys, of_values = jax.random.split(key)
        written = jax.random.randint(of_keys, (2 * count,), 0, count)
        values = jax.nn.one_hot(jax.random.randint(of_values, (2 * count,), 0, count), count)
        keys = k[written]
        seen = q @ keys.T
        if rule == "delta":
            answers = seen @ delta_writes(keys, values, jax.nn.sigmoid(weights["beta"][written]))
        else:
            answers = seen @ values / seen.sum(1, keepdims=True)
        places = jnp.where(
            written[None, :] == jnp.arange(count)[:, None], jnp.arange(2 * count), -1
        )
        last = places.max(1)
        errors = 0.5 * ((answers - values[last]) ** 2).sum(1)
        return jnp.where(last >= 0, errors, 0).sum(), (last >= 0).sum()

    total, asked = jax.vmap(one)(jax.random.split(key, SEQUENCES))
    return total.sum() / asked.sum()


def trained(loss: Loss, count: int, steps: int, rate: float, seed: int) -> float:
    """The loss after training by Adam, on fresh draws."""

    @jax.jit
    def run(key: Array) -> Array:
        of_start, of_steps, of_test = jax.random.split(key, 3)
        start = jax.random.normal(of_start, (2, count, CHANNELS))
        weights = {"k": start[0], "q": start[0] + 0.1 * start[1], "beta": jnp.zeros(count)}
        zeros = jax.tree.map(jnp.zeros_like, weights)

        def step(state: Any, number: Array) -> tuple[Any, None]:
            weights, first, second = state
            slope = jax.grad(loss)(weights, jax.random.fold_in(of_steps, number))
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
            second = jax.tree.map(lambda m, g: 0.99 * m + 0.01 * g**2, second, slope)
            now = 1.0 + number
            size = rate * 0.5 * (1 + jnp.cos(jnp.pi * number / steps))

            def moved(w: Array, m: Array, s: Array) -> Array:
                return w - size * m / (1 - 0.9**now) / (jnp.sqrt(s / (1 - 0.99**now)) + 1e-8)

            return (jax.tree.map(moved, weights, first, second), first, second), None

        (weights, _, _), _ = lax.scan(step, (weights, zeros, zeros), jnp.arange(steps))
        return jax.vmap(lambda key: loss(weights, key))(jax.random.split(of_test, 5)).mean()

    return float(run(jax.random.key(seed)))


# name -> features of its memory (None: it keeps every key), loss
ONCE: dict[str, tuple[int | None, Loss]] = {
    "FAVOR+, m = 64": (2 * 64, partial(favor_once, 64)),
    "FAVOR+, m = 512": (2 * 512, partial(favor_once, 512)),
    **{name: (count, partial(additive_once, f)) for name, (count, f) in FEATURES.items()},
    "DPFP-1, delta": (FEATURES["DPFP-1"][0], partial(delta_once, FEATURES["DPFP-1"][1])),
    "softmax": (None, softmax_once),
}
TWICE: dict[str, Loss] = {
    f"{name}, {rule}": partial(replaced, rule, FEATURES[name][1])
    for name, rule in (("DPFP-1", "additive"), ("elu + 1", "delta"), ("DPFP-1", "delta"))
}


def table(
    title: str, losses: dict[str, Loss], counts: tuple[int, ...], steps: int
) -> dict[str, Any]:
    """Trains everything for every number of keys, printing rows as they come."""
    print(f"\n{title}\n\n| | " + " | ".join(f"S = {count}" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    found: dict[str, Any] = {}
    for name, loss in losses.items():
        rate = FAVOR_RATE if name.startswith("FAVOR") else RATE
        found[name] = [trained(loss, count, steps, rate, SEED) for count in counts]
        print(
            f"| {name} | " + " | ".join(f"{value:.4f}" for value in found[name]) + " |", flush=True
        )
    return found


def plot(once: dict[str, Any], twice: dict[str, Any], unique: Any, again: Any, path: Path) -> None:
    """Loss against the number of keys, in both settings."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.6), layout="constrained")
    colours = dict(zip([*ONCE], plt.get_cmap("tab10").colors, strict=False))
    for name, losses in once.items():
        style = "--" if "delta" in name else "-"
        width = 2.2 if name == "DPFP-1" else 1.4
        left.plot(
            unique, losses, style, lw=width, marker="o", ms=4, color=colours[name], label=name
        )
    fine = np.linspace(unique[0], unique[-1], 400)
    for count in sorted({count for count, _ in FEATURES.values()}):
        floor = np.maximum(0, 0.5 * (1 - count / fine))
        left.plot(fine[fine > count], floor[fine > count], ":", color="black", lw=1, zorder=0)
    left.plot([], [], ":", color="black", lw=1, label="rank: (1 - features / S) / 2")
    left.set(xlabel="unique keys S", ylabel="loss after training", ylim=(-0.02, 0.7))
    left.set_title("each key written once", fontsize=10)
    left.set_yticks(np.arange(0, 0.51, 0.1))
    left.legend(frameon=False, ncols=3, fontsize=8, loc="upper left")
    styles = {"DPFP-1, additive": "-", "elu + 1, delta": "--", "DPFP-1, delta": "--"}
    shades = {"DPFP-1, additive": "DPFP-1", "elu + 1, delta": "elu + 1"}
    for name, losses in twice.items():
        colour = colours[shades.get(name, name)]
        right.plot(again, losses, styles[name], marker="o", ms=4, color=colour, label=name)
    right.set(xlabel="keys S, drawn with replacement 2 S times", ylabel="loss after training")
    right.set(ylim=(-0.02, 0.52), xticks=again)
    right.set_title("keys written again with another value", fontsize=10)
    right.legend(frameon=False, fontsize=8, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=400, help="of training")
    parser.add_argument("--most", type=int, default=UNIQUE[-1], help="keys, at most")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/images/retrieval.png")
    arguments = parser.parse_args()
    unique = tuple(count for count in UNIQUE if count <= arguments.most)
    again = tuple(count for count in REPLACED if count <= arguments.most)
    losses = {name: loss for name, (_, loss) in ONCE.items()}
    once = table("setting 1: unique keys", losses, unique, arguments.steps)
    twice = table("setting 2: keys drawn with replacement", TWICE, again, arguments.steps)
    plot(once, twice, unique, again, arguments.plot)


if __name__ == "__main__":
    main()
