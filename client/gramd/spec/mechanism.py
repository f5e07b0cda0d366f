# Made from kernels/registry.py; change that, then run: python -m client.generate
"""Mechanisms of attention: from the logits of an input to its mixing matrix."""

from __future__ import annotations

from typing import Literal

from gramd.spec.document import Document, Given, builder, document, typed

__all__ = ["abs", "delta", "identity", "l2", "linear", "performer", "relu", "softmax", "sparsemax"]


@builder
def softmax(*, rank: int | None = None, tolerance: float | None = None) -> Document:
    """A_ij = exp(G_ij) / sum_l exp(G_il) over visible keys; compressed if a rank is given.

    With `rank`, A(x) is kept in two factors of that many columns where inputs have more positions,
    at an error that is measured for every input. Inputs whose error is above `tolerance` are
    computed exactly, as if there was no rank.

    Ranges:
        rank: >= 2.
        tolerance: > 0.
    """
    return document("softmax", {}, rank=(rank, None), tolerance=(tolerance, None))


@builder
def identity() -> Document:
    """A_ij = G_ij."""
    return document("identity", {})


@builder
def relu() -> Document:
    """A_ij = max(G_ij, 0)."""
    return document("relu", {})


@builder
def abs() -> Document:
    """A_ij = |G_ij|."""
    return document("abs", {})


@builder
def sparsemax() -> Document:
    """The Euclidean projection of each row on the simplex over visible keys."""
    return document("sparsemax", {})


@builder
def l2() -> Document:
    """Softmax of minus the squared distance of query and key, divided by d_k.

    |q_i - k_j|^2 / d_k tends to G_ii + G_jj - 2 G_ij with tied weights, and what a row has in
    common cancels. The matrix W_Q W_Q^T by which the paper multiplies values as well is left out:
    it only scales the NNGP, but its part of the NTK depends on the ratio of d_k and width.
    """
    return document("l2", {})


@builder
def linear(
    *,
    feature_map: Given | Literal["dpfp", "elu_plus_one", "relu"] = "elu_plus_one",
    normalize: bool = True,
) -> Document:
    """Products of features of queries and keys, each row divided by its sum if so asked.

    Without the division the products are means over features, and the layer is of degree three
    in its input's kernel (relu) or five (dpfp).
    """
    return document(
        "linear",
        {},
        feature_map=(typed(feature_map), {"type": "elu_plus_one"}),
        normalize=(normalize, True),
    )


@builder
def delta(
    *, feature_map: Given | Literal["dpfp", "elu_plus_one", "relu"] = "dpfp", beta: float = 0.5
) -> Document:
    """Fast weights written by the delta rule, one position after the other: always causal.

    Ranges:
        beta: > 0, < 2.
    """
    return document(
        "delta", {}, feature_map=(typed(feature_map), {"type": "dpfp"}), beta=(beta, 0.5)
    )


@builder
def performer(
    *,
    features: int = 256,
    orthogonal: bool = True,
    variant: Literal["positive", "hyperbolic", "trigonometric"] = "positive",
    centre: bool = True,
    seed: int = 0,
) -> Document:
    """A seeded random-feature estimate of softmax, in low-rank form: A = D^-1 Q F^T.

    `features` counts the columns of Q and F, on which the cost depends: the hyperbolic and
    trigonometric variants have two of them a direction.

    Ranges:
        features: >= 1, <= 16384.
        seed: >= 0, <= 4294967295.
    """
    return document(
        "performer",
        {},
        features=(features, 256),
        orthogonal=(orthogonal, True),
        variant=(variant, "positive"),
        centre=(centre, True),
        seed=(seed, 0),
    )
