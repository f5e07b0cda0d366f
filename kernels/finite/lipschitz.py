"""Lipschitz bounds of L2 multi-head self-attention. numpy only: the API computes them.

Kim, Papamakarios & Mnih, "The Lipschitz Constant of Self-Attention", arXiv 2006.04710, section 3.2.
With d_k channels of a query, B_h = W_Q,h / d_k^(1/4), so that A_h = W_Q,h W_Q,h^T / sqrt(d_k) = B_h B_h^T,

    F(X) = concat_h[P^h X A_h W_V,h] W_O,   P^h_ij = softmax_j(-|B_h^T (x_i - x_j)|^2)

and phi(x) = x exp(x + 1), for inputs of N positions:

    infinity-norm:  (4 phi^-1(N - 1) + 1 / sqrt(d_k)) |W_O^T| max_h |W_Q,h| |W_Q,h^T| max_h |W_V,h^T|
    2-norm:         sqrt(N / d_k) (4 phi^-1(N - 1) + 1) sqrt(sum_h |W_Q,h|^4 |W_V,h|^2) |W_O|

with every |.| the operator norm that goes with the norm on vectors (infinity: the largest row sum
of absolute values; 2: the largest singular value). Norms of X and F(X) take all entries together.
The paper has d_k = D / H; nothing below needs that, nor that d_v = d_k.

Derivation. For one head let y = B^T x, u_j = B^T v_j for a direction v, m_i = sum_j P_ij y_j. Row i
of the Jacobian of P X A, applied to v, is B times

    r_i = sum_j P_ij u_j + 2 Cov_i(y) u_i + 2 sum_j P_ij (y_j - m_i) (y_i - y_j)^T u_j         (*)

with Cov_i the covariance under P_i. Let c_j = |y_i - y_j|^2. Then sum_j P_ij c_j, with P_ij
proportional to exp(-c_j) and c_i = 0, is largest where all others are one c, (c - 1) e^c = N - 1, and
is c - 1 there: at most p = phi^-1(N - 1). Both tr Cov_i and sum_j P_ij |y_j - m_i| |y_i - y_j| are at
most that sum (Cauchy-Schwarz; the mean minimises squares).
2-norm: the three terms of (*) are at most 1, 2p and 2p times the Frobenius norm |u| <= |B| |v|, so every
row is at most |B|^2 (4p + 1) |v|, N rows together sqrt(N) times that. |B|^2 is |W_Q|^2 / sqrt(d_k), and
heads side by side add their squares: sum_h (|W_Q,h|^2 |W_V,h|)^2. Hence |W_Q,h|^4. Texts that have
|W_Q,h|^2 there state something that is not a bound: F is quadratic in W_Q, and doubling W_Q would
pass it (a test shows one that does).
Infinity-norm: |u_j| <= |B^T| for |v| <= 1; an entry of Cov_i u_i is at most sum_b |Cov_ab| <= sqrt(d_k) p, and
(y_i - y_j)^T u_j at most |y_i - y_j|_1 <= sqrt(d_k) |y_i - y_j|_2: |B| |B^T| (1 + 4 sqrt(d_k) p), where
|B| |B^T| = |W_Q| |W_Q^T| / sqrt(d_k). Heads side by side take the largest.

Keys that a mask or causality hides only shrink the sums, so the bounds hold with N = the number of
real positions. Everything is computed in float64, to rounding (about 1e-13 relative).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, log1p, sqrt
from typing import Any

import numpy as np

from kernels.errors import InputError

Array = np.ndarray[Any, Any]

SOURCE = "Kim, Papamakarios & Mnih, arXiv 2006.04710, section 3.2"
EQUATIONS = {
    "two": "sqrt(N / d_k) (4 phi^-1(N - 1) + 1) sqrt(sum_h |W_Q,h|_2^4 |W_V,h|_2^2) |W_O|_2",
    "infinity": (
        "(4 phi^-1(N - 1) + 1 / sqrt(d_k)) |W_O^T|_inf max_h |W_Q,h|_inf |W_Q,h^T|_inf"
        " max_h |W_V,h^T|_inf"
    ),
}


@dataclass(frozen=True)
class Norms:
    """What the bounds need to know of the weights.

    Attributes:
        key_channels: d_k.
        two_q: |W_Q,h|_2 of each head.
        two_v: |W_V,h|_2 of each head.
        two_o: |W_O|_2.
        infinity_q: |W_Q,h|_inf |W_Q,h^T|_inf, the largest over heads.
        infinity_v: |W_V,h^T|_inf, the largest over heads.
        infinity_o: |W_O^T|_inf.
    """

    key_channels: int
    two_q: tuple[float, ...]
    two_v: tuple[float, ...]
    two_o: float
    infinity_q: float
    infinity_v: float
    infinity_o: float


@dataclass(frozen=True)
class Bounds:
    """Upper bounds of the Lipschitz constant for one length; infinite where float64 overflows."""

    two: float
    infinity: float


def phi_inverse(y: float) -> float:
    """The x >= 0 with x exp(x + 1) = y: Lambert's W of y / e, for y >= 0, to rounding.

    Raises:
        ValueError: y is negative or not finite.
    """
    if not 0 <= y < float("inf"):
        raise ValueError(f"expected a finite number of at least 0, got {y}")
    z = y / exp(1)
    if z > 1:
        # ln x + x = ln z, concave and increasing: from below, Newton's method overshoots never.
        x, target = max(log(z) - log(log(z) + 1), 0.5), log(z)
        for _ in range(8):
            x -= (x + log(x) - target) * x / (x + 1)
        return x
    # x e^x = z, convex: from above, Newton's method comes down monotonically. W(z) <= ln(1 + z).
    x = log1p(z)
    for _ in range(8):
        x -= (x - z * exp(-x)) / (x + 1)
    return x


def norms_of(wq: Array, wv: Array, wo: Array) -> Norms:
    """The norms of given weights.

    Args:
        wq: (H, D, d_k), tied queries and keys.
        wv: (H, D, d_v).
        wo: (H d_v, outputs).

    Raises:
        InputError: the shapes do not fit each other, or an entry is not finite; the pointer is /wq,
            /wv or /wo.
    """
    check_shapes(wq.shape, wv.shape, wo.shape)
    for name, w in (("wq", wq), ("wv", wv), ("wo", wo)):
        if not np.isfinite(w).all():
            place = np.argwhere(~np.isfinite(w))[0].tolist()
            raise InputError(
                f"expected finite numbers, got {w[tuple(place)]} at {place}", pointer=f"/{name}"
            )
    q, v, o = (np.asarray(w, np.float64) for w in (wq, wv, wo))
    return Norms(
        key_channels=q.shape[2],
        two_q=tuple(spectral_norm(head) for head in q),
        two_v=tuple(spectral_norm(head) for head in v),
        two_o=spectral_norm(o),
        infinity_q=max(_row_sum(head) * _row_sum(head.T) for head in q),
        infinity_v=max(_row_sum(head.T) for head in v),
        infinity_o=_row_sum(o.T),
    )


def check_shapes(wq: tuple[int, ...], wv: tuple[int, ...], wo: tuple[int, ...]) -> None:
    """Raises InputError, with a pointer to the wrong weight, where shapes do not fit."""
    for name, shape, rank in (("wq", wq, 3), ("wv", wv, 3), ("wo", wo, 2)):
        wanted = "(heads, channels, channels of a head)" if rank == 3 else "(heads * d_v, outputs)"
        if len(shape) != rank or 0 in shape:
            raise InputError(f"expected {wanted}, none of them 0, got {shape}", f"/{name}")
    if wv[:2] != wq[:2]:
        raise InputError(f"expected the heads and channels of wq, {wq[:2]}, got {wv[:2]}", "/wv")
    if wo[0] != wv[0] * wv[2]:
        raise InputError(
            f"expected a row for each channel of each head of wv, {wv[0]} * {wv[2]} ="
            f" {wv[0] * wv[2]}, got {wo[0]}",
            "/wo",
        )


def gaussian_norms(
    channels: int,
    heads: int,
    head_channels: int,
    outputs: int,
    stds: tuple[float, float, float],
    failure: float | None = None,
) -> Norms:
    """Upper bounds of the norms of Gaussian weights, d_v = d_k, entries of variance std^2 / fan-in.

    For an m x n matrix of independent N(0, s^2): E |W|_2 <= s (sqrt(m) + sqrt(n)) (Gordon's theorem;
    Davidson & Szarek 2001), and over r rows of n entries in all, E max_row sum |W_ij| <=
    s (n sqrt(2/pi) + sqrt(2 n ln r)). Both are Lipschitz functions of the weights, with constants s
    and s sqrt(n), so each exceeds its bound by t of these with probability at most exp(-t^2 / 2).

    Args:
        channels: D.
        heads: H.
        head_channels: d_k = d_v.
        outputs: columns of W_O.
        stds: of W_Q, W_V and W_O, before the division by sqrt(fan-in): D, D and H d_v.
        failure: None for the bounds of the expected norms; else t is such that all norms together
            exceed what is returned with at most this probability, 0 < failure < 1.
    """
    d, h, k, inner = channels, heads, head_channels, heads * head_channels
    q, v, o = stds[0] / sqrt(d), stds[1] / sqrt(d), stds[2] / sqrt(inner)
    # One event for every spectral norm, and one for each of the four largest row sums.
    t = 0.0 if failure is None else sqrt(2 * log((2 * h + 5) / failure))

    def two(rows: int, columns: int) -> float:
        return sqrt(rows) + sqrt(columns) + t

    def infinity(rows: int, length: int) -> float:
        return length * sqrt(2 / np.pi) + sqrt(2 * length * log(rows)) + t * sqrt(length)

    return Norms(
        key_channels=k,
        two_q=(q * two(d, k),) * h,
        two_v=(v * two(d, k),) * h,
        two_o=o * two(inner, outputs),
        infinity_q=q * infinity(h * d, k) * q * infinity(h * k, d),
        infinity_v=v * infinity(h * k, d),
        infinity_o=o * infinity(outputs, inner),
    )


def lipschitz_bounds(norms: Norms, length: int) -> Bounds:
    """Both bounds for inputs of `length` positions, at least 1."""
    p = phi_inverse(float(length - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.array(norms.two_q) ** 2 * np.array(norms.two_v)
        largest = squares.max()
        # hypot's way: the sum of squares must not overflow before the root is taken.
        joint = largest * np.sqrt(((squares / largest) ** 2).sum()) if largest > 0 else largest
        two = np.sqrt(length / norms.key_channels) * (4 * p + 1) * joint * norms.two_o
        infinity = np.float64(norms.infinity_q) * norms.infinity_v * norms.infinity_o
        infinity *= 4 * p + 1 / sqrt(norms.key_channels)
    return Bounds(
        *(float(bound) if np.isfinite(bound) else float("inf") for bound in (two, infinity))
    )


def spectral_norm(w: Array) -> float:
    """The largest singular value of (m, n), by the smaller of its two Gram matrices.

    Squaring costs the small singular values their digits, not the largest one.
    """
    scale = np.abs(w).max()
    if scale == 0:
        return 0.0
    scaled = w / scale
    gram = scaled.T @ scaled if w.shape[0] > w.shape[1] else scaled @ scaled.T
    with np.errstate(over="ignore"):
        return float(scale * np.sqrt(np.linalg.eigvalsh(gram)[-1]))


def _row_sum(w: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.abs(w).sum(1).max())
