"""Mixing matrices from logits, as the mechanisms' own papers define them, query by query."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.feature_moments import feature_moments
from tests.oracles.gaussian import Array

Mechanism = str | dict[str, Any]


def mixing(mechanism: Mechanism, logits: Array, visible: Array) -> Array:
    """A (T, T) from logits (T, T) and which key each query sees (T, T); rows are queries."""
    spec = {"type": mechanism} if isinstance(mechanism, str) else mechanism
    if spec["type"] == "delta":
        return _delta(spec, logits, visible)
    own = np.diag(logits)
    if spec["type"] == "l2":
        logits = -(own[:, None] + own[None, :] - 2 * logits)
    elif spec["type"] == "linear":
        logits = _kappa(spec.get("feature_map", "elu_plus_one"), logits)
    weights = np.zeros_like(logits)
    for query, seen in enumerate(visible):
        if seen.any():
            weights[query, seen] = _row(spec, logits[query, seen])
    return weights


def _row(spec: dict[str, Any], scores: Array) -> Array:
    kind = spec["type"]
    if kind in ("softmax", "l2"):
        weights = np.exp(scores - scores.max())
        return weights / weights.sum()
    if kind == "linear":
        total = scores.sum()
        normalize = spec.get("normalize", True)
        return scores / total if normalize and total > 0 else scores
    if kind == "sparsemax":
        return _simplex(scores)
    if kind == "relu":
        return np.maximum(scores, 0.0)
    if kind == "abs":
        return np.abs(scores)
    assert kind == "identity", kind
    return scores


def _simplex(scores: Array) -> Array:
    """The projection on the simplex: the threshold by bisection."""
    low, high = scores.max() - 1, scores.max()
    for _ in range(100):
        middle = (low + high) / 2
        if np.maximum(scores - middle, 0).sum() > 1:
            low = middle
        else:
            high = middle
    return np.maximum(scores - (low + high) / 2, 0)


def _kappa(feature_map: str | dict[str, Any], logits: Array) -> Array:
    own = np.broadcast_to(np.diag(logits), logits.shape)
    return feature_moments(feature_map, own.T, own, logits)


def _delta(spec: dict[str, Any], logits: Array, visible: Array) -> Array:
    """The recursion itself, on features that have the products R, with values of one each."""
    kappa = _kappa(spec.get("feature_map", "dpfp"), logits)
    own = np.sqrt(np.diag(kappa))
    scale = np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)
    eigenvalues, vectors = np.linalg.eigh(kappa * np.outer(scale, scale))
    features = vectors * np.sqrt(np.maximum(eigenvalues, 0))
    size = len(logits)
    fast, read = np.zeros((size, size)), np.zeros((size, size))
    for t, feature in enumerate(features):
        if not visible[t, t]:
            continue
        value = np.eye(size)[t]
        fast = fast + spec.get("beta", 0.5) * np.outer(value - fast @ feature, feature)
        read[t] = fast @ feature
    return read
