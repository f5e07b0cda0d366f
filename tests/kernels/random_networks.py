"""Random networks of the whole vocabulary on a few shapes, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from kernels.architecture import describe, parse_architecture
from kernels.errors import SpecError
from tests.kernels.networks import Layer

SHAPES = (
    ((3, 3), (2, 3)),
    ((2, 5, 2), (3, 5, 2)),
    ((2, 7, 1), (1, 7, 1)),
    ((2, 3, 4, 2), (2, 3, 4, 2)),
)
"""Both sides' shapes: few, since every new one is compiled."""
MASKS = ("none", "tail", "holes", "one")

stds = st.sampled_from([0.0, 0.4, 0.9, 1.5])
positive_stds = st.sampled_from([0.4, 0.9, 1.5])
activations = st.one_of(
    st.sampled_from(["relu", "abs", "gelu", "erf", "sin", "cos", "sign", "rbf"]).map(
        lambda kind: {"type": kind}
    ),
    st.sampled_from([-0.4, 0.2]).map(lambda alpha: {"type": "leaky_relu", "alpha": alpha}),
)
denses = st.builds(lambda w, b: {"type": "dense", "w_std": w, "b_std": b}, positive_stds, stds)
norms = st.builds(
    lambda axes, eps: {"type": "layer_norm", "axes": axes, "eps": eps},
    st.sampled_from([["channel"], ["channel", "spatial"]]),
    st.sampled_from([1e-6, 0.1]),
)


def one(layers: st.SearchStrategy[Layer]) -> st.SearchStrategy[list[Layer]]:
    """A list of one layer."""
    return layers.map(lambda layer: [layer])


def windows(rank: int, kinds: list[str]) -> st.SearchStrategy[Layer]:
    """Convolutions or pools that fit every grid of `SHAPES`, each strided by one or two."""
    sizes = st.lists(st.integers(1, 2), min_size=rank, max_size=rank)
    return st.builds(
        lambda kind, window, strides, padding: {
            "type": kind,
            "window": window,
            "strides": strides,
            "padding": padding,
        },
        st.sampled_from(kinds),
        sizes,
        sizes,
        st.sampled_from(["same", "circular"]),
    )


@st.composite
def positionals(draw: st.DrawFn) -> dict[str, Any]:
    """Positional embeddings whose R is positive semidefinite on any grid."""
    kind = draw(st.sampled_from(["indicator", "rational", "exponential"]))
    decay: dict[str, Any] = {"type": kind}
    if kind != "indicator":
        decay |= {
            "length": draw(st.sampled_from([0.7, 2.0])),
            "power": draw(st.sampled_from([0.6, 1.0])),
        }
    return {
        "merge": draw(st.sampled_from(["sum", "concat"])),
        "std": draw(positive_stds),
        "decay": decay,
        "in_values": draw(st.booleans()),
    }


feature_maps = st.sampled_from(["relu", "elu_plus_one", {"type": "dpfp", "nu": 2}])
mechanisms = st.one_of(
    st.sampled_from(["softmax", "relu", "abs", "identity", "sqrt", "sparsemax", "l2"]),
    st.builds(
        lambda kind, normalize: {"type": "linear", "feature_map": kind, "normalize": normalize},
        feature_maps,
        st.sampled_from([True, True, False]),
    ),
    st.builds(
        lambda kind, beta: {"type": "delta", "feature_map": kind, "beta": beta},
        feature_maps,
        st.sampled_from([0.3, 1.0, 1.6]),
    ),
)


@st.composite
def attentions(draw: st.DrawFn) -> list[Layer]:
    """Attention with a closed form; one with a residual has a dense layer before it, so that
    what it hands through is Gaussian too."""
    mechanism = draw(mechanisms)
    layer: Layer = {
        "type": "attention",
        "mechanism": "identity" if mechanism == "sqrt" else mechanism,
        "scaling": "sqrt" if mechanism == "sqrt" else "linear",
        "qk_std": draw(positive_stds),
        "ov_std": draw(positive_stds),
        "b_std": draw(stds),
        "causal": draw(st.booleans()),
        "positional": draw(st.none() | positionals()),
    }
    if draw(st.booleans()):
        return [layer]
    return [draw(denses), layer | {"residual": {"weight": draw(st.sampled_from([0.0, 0.3]))}}]


def parallel_of(merge: str, branches: list[list[Layer]], more: list[list[Layer]]) -> Layer:
    """A parallel layer of both lists of branches."""
    return {"type": "parallel", "merge": merge, "branches": branches + more}


@st.composite
def networks(draw: st.DrawFn, rank: int) -> list[Layer]:
    """A network for inputs of `rank` position axes that ends without positions.

    It opens with weights, so that residuals and empty branches are allowed everywhere.
    """

    # What keeps the grid, so that the branches of a sum fit each other.
    keeping = st.one_of(one(denses), *([attentions()] if rank else []))
    weighted = st.one_of(keeping, *([one(windows(rank, ["conv"]))] if rank else []))
    pools = [one(windows(rank, ["avg_pool", "sum_pool"]))] if rank else []
    # One branch may have no weights; those of a product may end in an activation.
    added = st.builds(lambda f, rest: [f, *rest], activations, keeping)
    multiplied = st.builds(lambda rest, f: [*rest, f], keeping, activations)
    bare = st.one_of(st.just([[]]), activations.map(lambda f: [[f]]), st.just([]))
    forks = st.one_of(
        st.builds(parallel_of, st.just("sum"), st.lists(added, min_size=1, max_size=2), bare),
        st.builds(
            parallel_of,
            st.just("product"),
            st.lists(st.one_of(added, multiplied), min_size=1, max_size=2),
            bare,
        ),
    )
    layers: list[Layer] = draw(keeping)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["activation", "linear", "fork", "norm"]))
        if kind == "activation":
            layers += [draw(activations), *draw(weighted)]
        elif kind == "linear":
            layers += draw(st.one_of(weighted, *pools))
        elif kind == "fork":
            layers += [draw(denses), draw(forks), draw(denses)]
        else:
            layers += [*draw(weighted), draw(norms)]
    layers += [draw(denses)]
    if draw(st.booleans()):
        layers += [draw(activations)]
    if rank:
        ends = st.sampled_from(["flatten", "global_avg_pool", "global_sum_pool"])
        layers += [{"type": draw(ends)}]
    tail = draw(st.sampled_from([0, 1, 2]))
    if tail:
        layers += [draw(denses)]
    if tail == 2:
        layers += [draw(activations), draw(denses)]
    return layers


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Layer], tuple[int, ...], tuple[int, ...] | None, str]:
    """A network, the shapes of both sides (None: X against X) and the kind of mask."""
    one, two = draw(st.sampled_from(SHAPES))
    rank = len(one) - 2
    layers = draw(networks(rank))
    try:
        describe(parse_architecture({"layers": layers}), one[1:])
    except SpecError as error:
        # Strides may leave fewer positions than the next window has; nothing else is wrong here.
        if not error.pointer.endswith("/window"):
            raise
        reject()
    mask = draw(st.sampled_from(MASKS)) if rank else "none"
    return layers, one, draw(st.sampled_from([two, None])), mask
