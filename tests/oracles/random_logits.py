"""Attention with Gaussian logits, by integrals over two logits at a time: no heads are drawn.

Cov(G_ai, G'_bj) = qk^2 K~_ab K~_ij. Weights of "relu" and "abs" depend on one logit each, and those
of "softmax" and "sparsemax" over one or two visible keys on one difference of logits, so every
expectation is one over a pair of Gaussians. The derivative of weight k by logit i is J_ki.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tests.oracles.gaussian import expectations

Array = np.ndarray[Any, Any]

_REACH, _COUNT = 8.0, 401
"""Of the trapezoidal rule: exact for smooth functions, and to 1e-3 for those with a jump."""


@dataclass(frozen=True)
class Logits:
    """The logits of two inputs.

    Attributes:
        mechanism: "relu", "abs", "softmax" or "sparsemax".
        qk_std: their scale.
        row: K~(x, x).
        col: K~(x', x').
        k: K~(x, x').
        theta: Theta~(x, x').
    """

    mechanism: str
    qk_std: float
    row: Array
    col: Array
    k: Array
    theta: Array

    def kernels(
        self, see_row: Array, see_col: Array, values: Array, values_ntk: Array
    ) -> tuple[Array, Array]:
        """(nngp, ntk) before ov_std and the bias: values see K and Theta, queries what they see."""
        nngp, ntk = np.zeros_like(self.k), np.zeros_like(self.k)
        for a, b in product(*map(range, self.k.shape)):
            keys = np.flatnonzero(see_row[a]), np.flatnonzero(see_col[b])
            if not (len(keys[0]) and len(keys[1])):
                continue
            weights, slopes = self._expected(a, b, *keys)
            mesh = np.ix_(*keys)
            k_ij, theta_ij = self.k[mesh], self.theta[mesh]
            # slopes[i, j, k, l] = E J_ki J'_lj
            moved = np.einsum("ijkl,kl->ij", slopes, values[mesh])
            nngp[a, b] = (weights * values[mesh]).sum()
            ntk[a, b] = (weights * (values_ntk + 2 * values)[mesh]).sum() + self.qk_std**2 * (
                (2 * self.k[a, b] + self.theta[a, b]) * (moved * k_ij).sum()
                + self.k[a, b] * (moved * theta_ij).sum()
            )
        return nngp, ntk

    def _expected(self, a: int, b: int, rows: Array, cols: Array) -> tuple[Array, Array]:
        """E z_i z'_j, (keys, keys'), and E J_ki J'_lj, (keys, keys', keys, keys')."""
        scale = self.qk_std**2
        if self.mechanism in _OF_TWO:
            return self._of_two(a, b, rows, cols)
        p = scale * self.row[a, a] * self.row[rows, rows][:, None]
        q = scale * self.col[b, b] * self.col[cols, cols][None, :]
        c = scale * self.k[a, b] * self.k[np.ix_(rows, cols)]
        value, slope = expectations({"type": self.mechanism}, p, q, c)
        own = np.einsum("ij,ik,jl->ijkl", slope, np.eye(len(rows)), np.eye(len(cols)))
        return value, own

    def _of_two(self, a: int, b: int, rows: Array, cols: Array) -> tuple[Array, Array]:
        """The weights (s, 1 - s), s a function of one difference of logits, on either side."""
        assert max(len(rows), len(cols)) <= 2, "one difference of logits is all there may be"
        # A single key stands there twice, with a difference of 0 and halves that add up to 1.
        fold_row, fold_col = (
            np.eye(2) if len(keys) == 2 else np.ones((1, 2)) for keys in (rows, cols)
        )
        rows, cols, apart = rows[[0, -1]], cols[[0, -1]], np.array([1.0, -1.0])
        scale = self.qk_std**2
        p = scale * self.row[a, a] * (apart @ self.row[np.ix_(rows, rows)] @ apart)
        q = scale * self.col[b, b] * (apart @ self.col[np.ix_(cols, cols)] @ apart)
        c = scale * self.k[a, b] * (apart @ self.k[np.ix_(rows, cols)] @ apart)
        slope = c / p if p > 0 else 0.0
        nodes = np.linspace(-_REACH, _REACH, _COUNT)
        weight = np.exp(-(nodes**2) / 2)
        u = np.sqrt(p) * nodes[:, None] + 0 * nodes[None, :]
        v = slope * u + np.sqrt(max(q - slope * c, 0.0)) * nodes[None, :]
        density = np.outer(weight, weight) / weight.sum() ** 2
        function = _OF_TWO[self.mechanism]
        (one, slope1), (two, slope2) = function(u), function(v)
        both = np.stack([one, 1 - one]), np.stack([two, 1 - two])
        weights = fold_row @ np.einsum("iuv,juv,uv->ij", *both, density) @ fold_col.T
        slopes = (slope1 * slope2 * density).sum()
        row, col = fold_row @ apart, fold_col @ apart
        return weights, slopes * np.einsum("i,j,k,l->ijkl", row, col, row, col)


def _sigmoid(x: Array) -> tuple[Array, Array]:
    s = 1 / (1 + np.exp(-x))
    return s, s * (1 - s)


def _clipped(x: Array) -> tuple[Array, Array]:
    """Of two logits x apart, the projection on the simplex is ((1 + x) / 2, (1 - x) / 2) or an end."""
    return np.clip((1 + x) / 2, 0, 1), np.where(np.abs(x) < 1, 0.5, 0)


_OF_TWO = {"softmax": _sigmoid, "sparsemax": _clipped}
