"""L2 attention, its Lipschitz bounds, and inputs that try to break them."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from kernels.errors import InputError
from kernels.finite.l2_attention import (
    AttentionWeights,
    causally,
    dot_product_attention,
    draw_weights,
    l2_attention,
)
from kernels.finite.lipschitz import (
    Norms,
    gaussian_norms,
    lipschitz_bounds,
    norms_of,
    phi_inverse,
    spectral_norm,
)
from kernels.finite.sensitivity import NormName, climb, jacobian_norm

Array = np.ndarray[Any, Any]
NORMS: tuple[NormName, ...] = ("two", "infinity")
ROUNDING = 1 + 1e-12


def random_weights(heads: int, channels: int, size: int, value_size: int, seed: int) -> Any:
    """Weights whose heads differ in scale, (q, v, o)."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(heads, channels, size)) * np.exp(rng.normal(size=(heads, 1, 1)))
    v = rng.normal(size=(heads, channels, value_size)) * np.exp(rng.normal(size=(heads, 1, 1)))
    return AttentionWeights(q, v, rng.normal(size=(heads * value_size, channels + 1)))


def bounds_of(weights: Any, length: int) -> dict[str, float]:
    bounds = lipschitz_bounds(norms_of(*(np.asarray(w) for w in weights)), length)
    return {"two": bounds.two, "infinity": bounds.infinity}


def by_definition(weights: Any, x: Array, visible: Array) -> Array:
    """The layer as the paper writes it, A_h and all, in loops."""
    heads: list[Array] = []
    for q, v in zip(weights.q, weights.v, strict=True):
        root = np.sqrt(q.shape[1])
        p = np.zeros((len(x), len(x)))
        for i in range(len(x)):
            for j in np.flatnonzero(visible[i]):
                p[i, j] = np.exp(-np.sum((x[i] @ q - x[j] @ q) ** 2) / root)
            p[i] /= max(p[i].sum(), 1e-300)
        heads.append(p @ x @ (q @ q.T / root) @ v)
    return np.concatenate(heads, axis=1) @ weights.o


@pytest.mark.parametrize("case", ["all", "causal", "a row that sees nothing"])
def test_the_layer_is_the_papers(case: str) -> None:
    weights, x = random_weights(3, 5, 2, 4, 0), np.random.default_rng(1).normal(size=(6, 5))
    visible = np.ones((6, 6), bool) if case == "all" else np.asarray(causally(6)).copy()
    if case.startswith("a row"):
        visible[3] = False
    with jax.enable_x64(True):
        seen = None if case == "all" else jnp.asarray(visible)
        found = l2_attention(jax.tree.map(jnp.asarray, weights), jnp.asarray(x), seen)
    np.testing.assert_allclose(found, by_definition(weights, x, visible), rtol=1e-11, atol=1e-12)


def test_float32_holds_far_from_the_origin() -> None:
    """Logits are differences of positions, which a common shift must not drown."""
    weights, x = random_weights(2, 3, 2, 2, 3), np.random.default_rng(4).normal(size=(5, 3))
    far = (x + 100).astype(np.float32)
    expected = by_definition(weights, far.astype(np.float64), np.ones((5, 5), bool))
    low = jax.tree.map(lambda w: jnp.asarray(w, "float32"), weights)
    found = l2_attention(low, jnp.asarray(far))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("y", [0.0, 1e-300, 1e-9, 0.5, 1.0, 2.718, 2.719, 7.0, 63.0, 1e6, 1e300])
def test_phi_inverse_is_lamberts(y: float) -> None:
    assert phi_inverse(y) == pytest.approx(lambertw(y / np.e).real, rel=1e-14, abs=0)


@pytest.mark.parametrize("y", [-1.0, float("nan"), float("inf")])
def test_phi_inverse_of_what_has_none(y: float) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        phi_inverse(y)


def test_phi_inverse_is_the_largest_mean_squared_distance() -> None:
    """The lemma under both bounds: sum_j P_j c_j <= phi^-1(N - 1), P ~ exp(-c), one c zero."""
    rng = np.random.default_rng(0)
    for others in (1, 5, 63):
        c = np.concatenate([rng.exponential(s, (2000, others)) for s in (0.1, 1.0, 4.0)])
        p = np.exp(-c)
        assert ((p * c).sum(1) / (1 + p.sum(1))).max() <= phi_inverse(others)
        peak = phi_inverse(others) + 1
        weight = others * np.exp(-peak)
        assert weight * peak / (1 + weight) == pytest.approx(phi_inverse(others), rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (40, 40)])
def test_spectral_norms_are_those_of_the_svd(shape: tuple[int, int]) -> None:
    w = np.random.default_rng(0).normal(size=shape)
    for scale in (1.0, 1e-200, 1e200):
        assert spectral_norm(scale * w) == pytest.approx(scale * np.linalg.norm(w, 2), rel=1e-13)


def test_the_bounds_are_the_papers_formulas() -> None:
    q, v, o = weights = random_weights(2, 6, 3, 3, 0)
    length, p = 10, float(lambertw(9 / np.e).real)
    inf = partial(np.linalg.norm, ord=np.inf)
    two = partial(np.linalg.norm, ord=2)
    squares = sum(two(q[h]) ** 4 * two(v[h]) ** 2 for h in range(2))
    expected = {
        "two": np.sqrt(length) / np.sqrt(3) * (4 * p + 1) * np.sqrt(squares) * two(o),
        "infinity": (4 * p + 1 / np.sqrt(3))
        * inf(o.T)
        * max(inf(q[h]) * inf(q[h].T) for h in range(2))
        * max(inf(v[h].T) for h in range(2)),
    }
    assert bounds_of(weights, length) == pytest.approx(expected, rel=1e-13)


def places(length: int, channels: int, rng: np.random.Generator) -> dict[str, Array]:
    """Inputs that put attention where it changes fastest, or not at all."""
    shell = rng.normal(size=(length, channels))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    shell[0] = 0
    few = rng.normal(size=(3, channels))
    return {
        "normal": rng.normal(size=(length, channels)),
        "a shell around one": shell * np.sqrt(phi_inverse(length - 1) + 1),
        "three clusters": few[rng.integers(3, size=length)],
        "three blurred clusters": few[rng.integers(3, size=length)]
        + 1e-2 * rng.normal(size=(length, channels)),
        "all the same": np.repeat(rng.normal(size=(1, channels)), length, axis=0),
        "heavy tails": rng.standard_cauchy(size=(length, channels)),
    }


@pytest.mark.parametrize(("length", "heads"), [(2, 1), (9, 3), (64, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_no_input_passes_the_bounds(length: int, heads: int, masked: bool) -> None:
    rng = np.random.default_rng(length)
    scales = 10.0 ** np.arange(-3, 4)
    with jax.enable_x64(True):
        visible = causally(length) if masked else None

        @jax.jit
        def measured(weights: AttentionWeights, inputs: jax.Array) -> dict[str, jax.Array]:
            layer = partial(l2_attention, weights, visible=visible)
            return jax.lax.map(lambda x: {n: jacobian_norm(layer, x, n) for n in NORMS}, inputs)

        for seed in range(4 if length < 64 else 1):
            weights = random_weights(heads, 3, 2, 2, seed)
            starts = np.stack([*places(length, 3, rng).values()])
            inputs = (scales[:, None, None, None] * starts).reshape(-1, length, 3)
            found = measured(jax.tree.map(jnp.asarray, weights), jnp.asarray(inputs))
            for norm, bound in bounds_of(weights, length).items():
                assert np.isfinite(found[norm]).all()
                assert found[norm].max() <= bound * ROUNDING


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("length", [2, 16])
def test_climbing_does_not_pass_the_bounds(length: int, norm: NormName) -> None:
    with jax.enable_x64(True):
        weights = draw_weights(jax.random.key(length), 2, 1, dtype="float64")
        layer, bound = partial(l2_attention, weights), bounds_of(weights, length)[norm]
        starts = jax.random.normal(jax.random.key(1), (4, length, 2)) * 4
        climbed = jax.jit(jax.vmap(lambda x: climb(layer, x, norm, 150)))(starts)
        before = jax.vmap(lambda x: jacobian_norm(layer, x, norm))(starts)
        assert (climbed[0] * ROUNDING >= before).all()
        assert climbed[0].max() > 1.2 * before.max()
        assert climbed[0].max() <= bound * ROUNDING
        again = jax.vmap(lambda x: jacobian_norm(layer, x, norm))(climbed[1])
        np.testing.assert_allclose(climbed[0], again, rtol=1e-9)


@pytest.mark.slow
def test_the_infinity_bound_is_nearly_reached() -> None:
    """One position at 0 and all others at +-sqrt(c), c = phi^-1(N - 1) + 1: all of (*) but its ends.

    Both covariances come to c - 1 = p and the row sum to 4 p + 2 / c - 1, against 4 p + 1.
    """
    with jax.enable_x64(True):
        one = AttentionWeights(jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1)), jnp.ones((1, 1)))
        for half in (4, 50):
            length = 2 * half + 1
            c = phi_inverse(length - 1) + 1
            x = np.sqrt(c) * np.concatenate([[0], np.ones(half), -np.ones(half)])[:, None]
            found = float(jacobian_norm(partial(l2_attention, one), jnp.asarray(x), "infinity"))
            bound = bounds_of(one, length)["infinity"]
            assert found == pytest.approx(4 * (c - 1) + 2 / c - 1, rel=1e-10)
            assert bound - 2 < found <= bound


def test_the_square_of_the_query_weights_would_not_be_a_bound() -> None:
    """sqrt(sum_h |W_Q|^2 |W_V|^2), as some texts have it, is passed where all tokens are equal."""
    weights = random_weights(2, 4, 2, 2, 0)
    weights = weights._replace(q=8 * weights.q)
    norms = norms_of(*weights)
    bound = lipschitz_bounds(norms, 4).two
    fourth = sum((q**2 * v) ** 2 for q, v in zip(norms.two_q, norms.two_v, strict=True))
    second = sum((q * v) ** 2 for q, v in zip(norms.two_q, norms.two_v, strict=True))
    wrong = bound * np.sqrt(second / fourth)
    with jax.enable_x64(True):
        layer = partial(l2_attention, jax.tree.map(jnp.asarray, weights))
        found = float(jacobian_norm(layer, jnp.zeros((4, 4)), "two"))
    assert wrong < found <= bound


def test_dot_product_attention_has_no_lipschitz_constant() -> None:
    """With one token at 0, attending to all alike, the Jacobian grows with the square of the scale."""
    with jax.enable_x64(True):
        weights = draw_weights(jax.random.key(0), 3, 1, dtype="float64")
        x = jax.random.normal(jax.random.key(1), (6, 3)).at[0].set(0)
        found = {
            layer: [float(jacobian_norm(partial(layer, weights), s * x, "two")) for s in (1e2, 1e3)]
            for layer in (dot_product_attention, l2_attention)
        }
    assert found[dot_product_attention][1] == pytest.approx(
        100 * found[dot_product_attention][0], 0.01
    )
    assert max(found[l2_attention]) <= bounds_of(weights, 6)["two"]


def test_gaussian_weights_have_the_norms_that_are_stated() -> None:
    channels, heads, size, outputs, stds = 12, 3, 4, 9, (1.0, 2.0, 0.5)
    rng, scale = np.random.default_rng(0), np.sqrt(12)
    found: list[Norms] = []
    for _ in range(200):
        q = rng.normal(size=(heads, channels, size)) * stds[0] / scale
        v = rng.normal(size=(heads, channels, size)) * stds[1] / scale
        found.append(norms_of(q, v, rng.normal(size=(heads * size, outputs)) * stds[2] / scale))
    expected = gaussian_norms(channels, heads, size, outputs, stds)
    likely = gaussian_norms(channels, heads, size, outputs, stds, 0.05)
    drawn = np.array([[n.two_q[0], n.two_v[0], n.two_o, n.infinity_v, n.infinity_o] for n in found])
    for stated, most in ((expected, drawn.mean(0)), (likely, np.quantile(drawn, 0.95, axis=0))):
        limits = [stated.two_q[0], stated.two_v[0], stated.two_o]
        limits += [stated.infinity_v, stated.infinity_o]
        # Within a factor of two and a half, or the statement would be empty.
        assert (most <= limits).all()
        assert (np.array(limits) <= 2.5 * most).all()
        assert len(stated.two_q) == heads
        assert stated.infinity_q >= np.mean([n.infinity_q for n in found])


def test_bounds_grow_with_length_and_overflow_to_infinity() -> None:
    norms = norms_of(*random_weights(2, 3, 2, 2, 0))
    many = [lipschitz_bounds(norms, length) for length in (1, 2, 10, 10**6, 10**15)]
    assert all(a.two < b.two and a.infinity < b.infinity for a, b in pairwise(many))
    huge = norms_of(np.full((2, 2, 2), 1e200), np.full((2, 2, 2), 1e200), np.ones((4, 2)))
    assert lipschitz_bounds(huge, 2).two == lipschitz_bounds(huge, 2).infinity == float("inf")
    nothing = norms_of(np.zeros((1, 2, 2)), np.ones((1, 2, 2)), np.ones((2, 2)))
    assert (lipschitz_bounds(nothing, 2).two, lipschitz_bounds(nothing, 2).infinity) == (0, 0)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        (((2, 3), (1, 2, 3), (3, 3)), "wq"),
        (((1, 3, 0), (1, 3, 2), (2, 3)), "wq"),
        (((2, 3, 2), (1, 3, 2), (2, 3)), "wv"),
        (((2, 3, 2), (2, 3, 4), (6, 3)), "wo"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes: Any, named: str) -> None:
    with pytest.raises(InputError) as caught:
        norms_of(*(np.ones(shape) for shape in shapes))
    assert caught.value.pointer == f"/{named}"


def test_what_is_not_finite_is_named() -> None:
    q, v, o = random_weights(2, 3, 2, 2, 0)
    v[1, 2, 0] = np.nan
    with pytest.raises(InputError, match=r"got nan at \[1, 2, 0\]") as caught:
        norms_of(q, v, o)
    assert caught.value.pointer == "/wv"
