"""Performer attention pair by pair: the mean over directions of one product for query and key.

Written from the estimators' expectations (Choromanski et al., arXiv 2009.14794, lemma 1), without
factors, rescaling or anything else that makes them cheap or safe.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def weights(
    logits: Array, w: Array, variant: str, centre: bool, real: Array, causal: bool = False
) -> Array:
    """The mixing matrix, (T, T), from logits (T, T) and directions w (m, T)."""
    values, vectors = np.linalg.eigh(np.where(np.outer(real, real), logits, 0.0))
    rows = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    mean = rows[real].mean(0) if centre else np.zeros(len(rows))
    made = np.zeros_like(logits)
    for i in np.flatnonzero(real):
        for j in np.flatnonzero(real):
            if causal and j > i:
                continue
            query, key = rows[i] - mean, rows[j] - mean
            norms = (query @ query + key @ key) / 2
            if variant == "positive":
                products = np.exp(w @ (query + key) - norms)
            elif variant == "hyperbolic":
                products = np.cosh(w @ (query + key)) * np.exp(-norms)
            else:
                products = np.cos(w @ (query - key)) * np.exp(norms)
            made[i, j] = products.mean() * np.exp(mean @ rows[j])
        made[i] /= made[i].sum()
    return made


def softmax(logits: Array, real: Array, causal: bool = False) -> Array:
    """Softmax over real keys, of real queries."""
    made = np.zeros_like(logits)
    for i in np.flatnonzero(real):
        seen = real & (np.arange(len(real)) <= i) if causal else real
        terms = np.exp(logits[i, seen] - logits[i, seen].max())
        made[i, seen] = terms / terms.sum()
    return made
