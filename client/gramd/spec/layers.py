# Made from kernels/registry.py; change that, then run: python -m client.generate
"""The layers of a network, one function each; docs/layers.md has more on every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gramd.spec.document import Document, Given, builder, document, typed

__all__ = [
    "ab_relu",
    "abs",
    "attention",
    "avg_pool",
    "conv",
    "cos",
    "dense",
    "dropout",
    "elementwise",
    "erf",
    "estimator",
    "exp",
    "flatten",
    "gaussian",
    "gelu",
    "global_avg_pool",
    "global_sum_pool",
    "hermite",
    "layer_norm",
    "leaky_relu",
    "monomial",
    "parallel",
    "polynomial",
    "positional",
    "rbf",
    "rectified_monomial",
    "relu",
    "repeat",
    "residual",
    "sign",
    "sin",
    "sum_pool",
]


@builder
def dense(*, w_std: float = 1.0, b_std: float = 0.0) -> Document:
    """Fully connected: every channel of a position to every unit.

    K' = w_std^2 K + b_std^2;
    Theta' = K' + w_std^2 Theta

    Source: Jacot et al., arXiv 1806.07572; Lee et al., arXiv 1711.00165.

    Ranges:
        w_std: >= 0.
        b_std: >= 0.
    """
    return document("dense", {}, w_std=(w_std, 1.0), b_std=(b_std, 0.0))


@builder
def conv(
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Literal["same", "valid", "circular"] = "same",
    w_std: float = 1.0,
    b_std: float = 0.0,
) -> Document:
    """The dense rule on windows of positions, which slide over x and x' alike.

    M[p, q] = mean_d K[p + d, q + d], the same for Theta;
    K' = w_std^2 M + b_std^2;
    Theta' = K' + w_std^2 M_Theta

    Source: Novak et al., arXiv 1810.05148; Arora et al., arXiv 1904.11955.

    Ranges:
        w_std: >= 0.
        b_std: >= 0.
    """
    return document(
        "conv",
        {"window": window},
        strides=(strides, None),
        padding=(padding, "same"),
        w_std=(w_std, 1.0),
        b_std=(b_std, 0.0),
    )


@builder
def avg_pool(
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Literal["same", "valid", "circular"] = "valid",
) -> Document:
    """The mean over all pairs of positions of two windows, padding counted as zeros.

    K'[p, q] = mean over offsets (d, e) of K[p + d, q + e];
    Theta' likewise

    Source: Novak et al., arXiv 1810.05148, section 3.2.
    """
    return document(
        "avg_pool", {"window": window}, strides=(strides, None), padding=(padding, "valid")
    )


@builder
def sum_pool(
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Literal["same", "valid", "circular"] = "valid",
) -> Document:
    """The sum over all pairs of positions of two windows.

    K'[p, q] = sum over offsets (d, e) of K[p + d, q + e];
    Theta' likewise

    Source: Novak et al., arXiv 1810.05148, section 3.2.
    """
    return document(
        "sum_pool", {"window": window}, strides=(strides, None), padding=(padding, "valid")
    )


@builder
def global_avg_pool() -> Document:
    """The mean over all pairs of real positions.

    K' = mean over real (p, q) of K[p, q];
    Theta' likewise

    Source: Novak et al., arXiv 1810.05148, section 3.2.
    """
    return document("global_avg_pool", {})


@builder
def global_sum_pool() -> Document:
    """The sum over all pairs of real positions.

    K' = sum over real (p, q) of K[p, q];
    Theta' likewise

    Source: Novak et al., arXiv 1810.05148, section 3.2.
    """
    return document("global_sum_pool", {})


@builder
def flatten() -> Document:
    """Positions become channels: the mean of the pairs (p, p), masked ones counting as zeros.

    The flattened channels differ in variance from position to position, so an activation or a
    layer norm may not follow before the next weights.

    K' = mean_p K[p, p];
    Theta' likewise

    Source: Novak et al., arXiv 1810.05148, section 3.1.
    """
    return document("flatten", {})


@builder
def layer_norm(
    *, axes: Sequence[Literal["channel", "spatial"]] = ("channel",), eps: float = 1e-12
) -> Document:
    """Division by sqrt((v + eps)(v' + eps)).

    v is the position's own variance, or with "spatial" the mean variance over real positions.

    K' = K / sqrt((v + eps)(v' + eps));
    Theta' likewise

    Source: Hron et al., arXiv 2006.10540; Ba et al., arXiv 1607.06450.

    Ranges:
        eps: >= 0.
    """
    return document("layer_norm", {}, axes=(axes, ("channel",)), eps=(eps, 1e-12))


@builder
def dropout(rate: float) -> Document:
    """Keeps a unit with probability `rate` and divides it by `rate`.

    The units of two inputs are dropped independently, so only an input's position with itself
    is scaled: its own variances always, and the entries of X against X on their diagonal.

    K'[p, p](x, x) = K[p, p](x, x) / rate, Theta' likewise;
    all other entries unchanged

    Source: Srivastava et al., JMLR 2014; Novak et al., arXiv 1912.02803.

    Ranges:
        rate: > 0, <= 1.
    """
    return document("dropout", {"rate": rate})


@builder
def relu() -> Document:
    """max(x, 0).

    K' = g (sin t + (pi - t) cos t) / (2 pi);
    Theta' = (pi - t) / (2 pi) Theta;
    g = sqrt(p q), cos t = K / g

    Source: Cho & Saul, NeurIPS 2009; relu, leaky_relu and abs are cases of it.
    """
    return document("relu", {})


@builder
def abs() -> Document:
    """|x|.

    K' = g (2 sin t + (pi - 2 t) cos t) / pi;
    Theta' = (1 - 2 t / pi) Theta;
    g = sqrt(p q), cos t = K / g

    Source: Cho & Saul, NeurIPS 2009; relu, leaky_relu and abs are cases of it.
    """
    return document("abs", {})


@builder
def leaky_relu(alpha: float) -> Document:
    """alpha min(x, 0) + max(x, 0).

    ab_relu with a = alpha, b = 1

    Source: Cho & Saul, NeurIPS 2009; relu, leaky_relu and abs are cases of it.
    """
    return document("leaky_relu", {"alpha": alpha})


@builder
def ab_relu(a: float, b: float) -> Document:
    """a min(x, 0) + b max(x, 0).

    K' = (a^2 + b^2) k(t) - 2 a b k(pi - t), k(t) = g (sin t + (pi - t) cos t) / (2 pi);
    Theta' = [(a^2 + b^2) (pi - t) + 2 a b t] / (2 pi) Theta

    Source: Cho & Saul, NeurIPS 2009; relu, leaky_relu and abs are cases of it.
    """
    return document("ab_relu", {"a": a, "b": b})


@builder
def sign() -> Document:
    """The sign of x, whose derivative is 0 wherever it exists, so that no gradient passes it.

    K' = 1 - 2 t / pi, cos t = K / sqrt(p q);
    Theta' = 0

    Source: Cho & Saul, NeurIPS 2009.
    """
    return document("sign", {})


@builder
def erf(*, a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Document:
    """a erf(b x) + c.

    K' = (2 a^2 / pi) arcsin(2 b^2 K / sqrt((1 + 2 b^2 p)(1 + 2 b^2 q))) + c^2;
    Theta' = (4 a^2 b^2 / pi) / sqrt((1 + 2 b^2 p)(1 + 2 b^2 q) - 4 b^4 K^2) Theta

    Source: Williams, NeurIPS 1996, 'Computing with infinite networks'.
    """
    return document("erf", {}, a=(a, 1.0), b=(b, 1.0), c=(c, 0.0))


@builder
def gelu() -> Document:
    """x Phi(x), Phi the normal distribution function.

    With D = (1 + p)(1 + q) - c^2 and w = 1/4 + arcsin(c / sqrt((1 + p)(1 + q))) / (2 pi), the
    mean of Phi(u) Phi(v), Stein's identity E[u g] = p E[g_u] + c E[g_v] applied to each factor
    gives the equations below.

    K' = c w + (p q - c^2 + c^2 (1/(1+p) + 1/(1+q))) / (2 pi sqrt(D));
    Theta' = [w + c (1/(1+p) + 1/(1+q) + 1/D) / (2 pi sqrt(D))] Theta;
    D = (1+p)(1+q) - c^2, w = 1/4 + arcsin(c / sqrt((1+p)(1+q))) / (2 pi), c = K

    Source: Hendrycks & Gimpel, arXiv 1606.08415; Tsuchida et al., arXiv 2002.08517.
    """
    return document("gelu", {})


@builder
def sin(*, a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Document:
    """a sin(b x + c).

    E+- = exp(-b^2 (p + q +- 2 K) / 2);
    K' = a^2 (E- - cos(2 c) E+) / 2;
    Theta' = a^2 b^2 (E- + cos(2 c) E+) / 2 Theta

    Source: Rahimi & Recht, NeurIPS 2007; Pearce et al., arXiv 1905.06076.
    """
    return document("sin", {}, a=(a, 1.0), b=(b, 1.0), c=(c, 0.0))


@builder
def cos(*, a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Document:
    """a cos(b x + c).

    E+- = exp(-b^2 (p + q +- 2 K) / 2);
    K' = a^2 (E- + cos(2 c) E+) / 2;
    Theta' = a^2 b^2 (E- - cos(2 c) E+) / 2 Theta

    Source: Rahimi & Recht, NeurIPS 2007; Pearce et al., arXiv 1905.06076.
    """
    return document("cos", {}, a=(a, 1.0), b=(b, 1.0), c=(c, 0.0))


@builder
def rbf(*, gamma: float = 1.0) -> Document:
    """sqrt(2) sin(sqrt(2 gamma) x + pi / 4), whose kernel is the Gaussian radial basis function.

    K' = exp(-gamma (p + q - 2 K));
    Theta' = 2 gamma K' Theta

    Source: Rahimi & Recht, NeurIPS 2007; Pearce et al., arXiv 1905.06076.

    Ranges:
        gamma: >= 0.
    """
    return document("rbf", {}, gamma=(gamma, 1.0))


@builder
def exp(*, a: float = 1.0, b: float = 1.0) -> Document:
    """a exp(b x).

    K' = a^2 exp(b^2 (p + q + 2 K) / 2);
    Theta' = b^2 K' Theta

    Source: Mairal et al., NeurIPS 2014; the moment generating function.
    """
    return document("exp", {}, a=(a, 1.0), b=(b, 1.0))


@builder
def gaussian(*, a: float = 1.0, b: float = -1.0) -> Document:
    """a exp(b x^2); for b > 0 its square has a mean only while variances stay below 1 / (4 b).

    D = (1 - 2 b p)(1 - 2 b q) - 4 b^2 K^2;
    K' = a^2 / sqrt(D);
    Theta' = 4 a^2 b^2 K / D^(3/2) Theta

    Source: Williams, NeurIPS 1996, 'Computing with infinite networks'.
    """
    return document("gaussian", {}, a=(a, 1.0), b=(b, -1.0))


@builder
def monomial(degree: int) -> Document:
    """x^degree.

    K' = E[(u v)^d];
    Theta' = d^2 E[(u v)^(d - 1)] Theta (Isserlis)

    Source: Isserlis, Biometrika 1918.

    Ranges:
        degree: >= 1, <= 16.
    """
    return document("monomial", {"degree": degree})


@builder
def rectified_monomial(degree: int) -> Document:
    """x^degree for x > 0, else 0.

    K' = g^d M(d, d);
    Theta' = d^2 g^(d-1) M(d-1, d-1) Theta;
    g = sqrt(p q), M(m, n) = E[z^m w^n;
    z, w > 0] of unit Gaussians with correlation K / g

    Source: Cho & Saul, NeurIPS 2009; M by Stein's identity.

    Ranges:
        degree: >= 1, <= 16.
    """
    return document("rectified_monomial", {"degree": degree})


@builder
def hermite(degree: int) -> Document:
    """The normalised probabilists' Hermite polynomial He_n(x) / sqrt(n!).

    h_n = sum_i n! / ((2^i i!)^2 (n - 2 i)!) ((p - 1)(q - 1))^i K^(n - 2 i);
    K' = h_n;
    Theta' = n h_(n-1) Theta;
    after layer_norm p = q = 1 and h_n = K^n

    Source: Daniely et al., arXiv 1602.05897, with Hermite's scaling formula.

    Ranges:
        degree: >= 1, <= 16.
    """
    return document("hermite", {"degree": degree})


@builder
def polynomial(coef: Sequence[float]) -> Document:
    """sum_i coef[i] x^i.

    K' = sum_ij c_i c_j E[u^i v^j];
    Theta' = sum_ij i j c_i c_j E[u^(i-1) v^(j-1)] Theta

    Source: Isserlis, Biometrika 1918.
    """
    return document("polynomial", {"coef": coef})


@builder
def elementwise(
    fn: Literal[
        "tanh", "sigmoid", "silu", "softplus", "elu", "softsign", "arctan", "mish", "log_sigmoid"
    ],
    *,
    degree: int | None = None,
) -> Document:
    """A named function, integrated numerically.

    K' = E[f(u) f(v)];
    Theta' = E[f'(u) f'(v)] Theta, by quadrature cut at 0, tabulated in both variances and the
      angle, or by a Gauss-Hermite rule of `degree` nodes a variable

    Source: quadrature; Daniely et al., arXiv 1602.05897, for the dual.

    Ranges:
        degree: >= 2, <= 200.
    """
    return document("elementwise", {"fn": fn}, degree=(degree, None))


@builder
def parallel(
    branches: Sequence[Sequence[Given]], *, merge: Literal["sum", "product", "concat"] = "sum"
) -> Document:
    """Branches of one input, merged into one signal.

    Kernels of a sum add where branches are uncorrelated: each but one must end in weights of its
    own, followed by linear layers at most. Those of a product multiply where branches are
    independent: in each but one, all that comes in must go through weights, whatever follows.
    Concatenated channels need no such thing, but as their variances differ no activation may follow
    directly.

    sum: K' = sum_b K_b, Theta' = sum_b Theta_b;
    product: K' = prod_b K_b, Theta' = sum_b Theta_b prod_(c != b) K_c;
    concat: the means over branches

    Source: Hron et al., arXiv 2006.10540; Yang, arXiv 1910.12478.
    """
    return document("parallel", {"branches": branches}, merge=(merge, "sum"))


@builder
def repeat(times: int, layers: Sequence[Given]) -> Document:
    """The same layers several times over, with weights of their own each time.

    its layers, `times` times over

    Source: -.

    Ranges:
        times: >= 1, <= 1024.
    """
    return document("repeat", {"times": times, "layers": layers})


@builder
def attention(
    *,
    mechanism: Given
    | Literal[
        "abs", "delta", "identity", "l2", "linear", "performer", "relu", "softmax", "sparsemax"
    ] = "softmax",
    scaling: Literal["linear", "sqrt"] = "linear",
    estimator: Given | None = None,
    qk_std: float = 1.0,
    ov_std: float = 1.0,
    b_std: float = 0.0,
    causal: bool = False,
    positional: Given | None = None,
    residual: Given | None = None,
) -> Document:
    """Self-attention over positions.

    linear: A = mechanism(qk_std K~(x, x)), K' = ov_std^2 A K A'^T + b_std^2, Theta' = ov_std^2
      A (Theta + 2 K) A'^T + b_std^2;
    sqrt with identity: s = <K~, K>, K' = (qk_std ov_std)^2 s K~ + b_std^2, Theta' = (qk_std
      ov_std)^2 [s (Theta~ + 4 K~) + K~ (<K~, Theta> + <K, Theta~>)] + b_std^2;
    sqrt with others, estimated over heads with weights z and derivatives J: K' = ov_std^2 E[z K
      z'^T] + b_std^2, Theta' = ov_std^2 {E[z (Theta + 2 K) z'^T] + qk_std^2 [(2 K~ + Theta~)
      <M, K~> + K~ <M, Theta~>]} + b_std^2, M = E[J K J'^T]

    Source: Hron et al., arXiv 2006.10540.

    Ranges:
        qk_std: >= 0.
        ov_std: >= 0.
        b_std: >= 0.
    """
    return document(
        "attention",
        {},
        mechanism=(typed(mechanism), {"type": "softmax"}),
        scaling=(scaling, "linear"),
        estimator=(estimator, None),
        qk_std=(qk_std, 1.0),
        ov_std=(ov_std, 1.0),
        b_std=(b_std, 0.0),
        causal=(causal, False),
        positional=(positional, None),
        residual=(residual, None),
    )


@builder
def estimator(*, samples: int = 256, seed: int = 0, antithetic: bool = True) -> Document:
    """How kernels without a closed form are estimated; without effect where there is one.

    Attributes:
        samples: heads that are averaged over, counting both of an antithetic pair.
        seed: of their random numbers.
        antithetic: heads come in pairs with logits G and -G. Odd functions of the logits then
            average out exactly, so that the error falls to the next order: at equal cost a third
            of the standard error for small logits, six tenths for large ones (softmax, qk_std 0.5
            and 3, five positions).

    Ranges:
        samples: >= 2, <= 65536.
        seed: >= 0, <= 4294967295.
    """
    return document(None, {}, samples=(samples, 256), seed=(seed, 0), antithetic=(antithetic, True))


@builder
def positional(
    merge: Literal["sum", "concat"],
    *,
    std: float = 1.0,
    decay: Given | Literal["exponential", "indicator", "rational"] = "indicator",
    p_norm: float | None = None,
    in_values: bool = False,
    fraction: float | None = None,
) -> Document:
    """How positions enter attention.

    Attributes:
        merge: "sum" adds std^2 R to K; "concat" gives (1 - fraction) K + fraction std^2 R.
        std: standard deviation of the embeddings.
        decay: R as a function of dist, the L_p distance of two positions to the power p.
        p_norm: that p.
        in_values: whether values carry the embeddings too, not only queries and keys.
        fraction: the share of embedding channels under "concat" (0.5 when left out).

    Ranges:
        std: >= 0.
        p_norm: > 0.
        fraction: >= 0, <= 1.
    """
    return document(
        None,
        {"merge": merge},
        std=(std, 1.0),
        decay=(typed(decay), {"type": "indicator"}),
        p_norm=(p_norm, None),
        in_values=(in_values, False),
        fraction=(fraction, None),
    )


@builder
def residual(weight: float) -> Document:
    """A structured skip connection: sqrt(weight) x + sqrt(1 - weight) attention(x).

    Ranges:
        weight: >= 0, < 1.
    """
    return document(None, {"weight": weight})
