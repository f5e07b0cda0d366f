"""The dual of a function without a closed form, as a table of three variables.

Divided by sqrt(E f(u)^2 E f(v)^2), the dual E f(u) f(v) is a correlation that depends on the
standard deviations of u and v and on the angle t = arccos |rho| alone, and smoothly: a kink of f
at 0 makes it a smooth function of t (relu's is (sin t + (pi - t) cos t) / pi), though not of rho.
So it is interpolated in Chebyshev polynomials: of ln(1 + s) on 0 <= s <= 300 for both deviations
s, and of ln(1 + 1000 t / (pi/2)) on 0 <= t <= pi/2, where what changes over a length of 1 / s in t
keeps its width. There is one table for each sign of rho. In s only some 20 combinations of the
polynomials matter, which a singular value decomposition finds.

The values come from quadrature in the plane of two independent standard normal variables (x, y),
u = s_u (x cos(t/2) - y sin(t/2)), v = s_v (x cos(t/2) + y sin(t/2)), cut where u = 0, v = 0 or
y = 0, so that every piece is smooth. Against twice the nodes the correlations are good to 6e-9 for
tanh' (all others 1e-9) with deviations up to 300, and to 3e-10 with deviations up to 100.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LARGEST_DEVIATION: Final = 300.0
"""The largest standard deviation in the table."""
LARGEST_ANGLE: Final = np.pi / 2
"""The largest angle; obtuse ones are those of a reflected v."""
STRETCH: Final = 1000.0
"""How much finer small angles are resolved than large ones."""
_DEGREES: Final = 56, 40
"""Chebyshev polynomials in s and in t; beyond them coefficients are below 1e-10."""
_NODES: Final = 80, 80, 56
"""Gauss-Legendre nodes along y, along x, and across the gap between u = 0 and v = 0."""
_REACH: Final = 8.5
"""How far they go: the density is 2e-16 of its peak there."""


class Table(NamedTuple):
    """The dual of f or of f' as a correlation.

    Attributes:
        basis: (degree in s, R) combinations of Chebyshev polynomials.
        core: (2, degree in t, R, R) coefficients of their products, for rho > 0 and rho < 0.
    """

    basis: Floats
    core: Floats


@lru_cache
def tables(function: Callable[[Any], Any]) -> tuple[Table, Table]:
    """The tables of f and of f', made once a process in about a second.

    Args:
        function: f, which JAX can differentiate, smooth but at 0.
    """
    deviations = np.expm1(np.log1p(LARGEST_DEVIATION) * (_roots(_DEGREES[0]) + 1) / 2)
    angles = LARGEST_ANGLE * np.expm1(np.log1p(STRETCH) * (_roots(_DEGREES[1]) + 1) / 2) / STRETCH
    # At once even within the trace of a network, and in float64 whatever its dtype.
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        both = jax.jit(lambda x: jnp.stack(jax.jvp(function, (x,), (jnp.ones_like(x),))))

        def evaluated(z: Floats) -> Floats:
            """f and f' at plus and minus s z, (2 functions, 2 signs, deviations, *z.shape)."""
            x = np.multiply.outer(deviations, z)
            return np.asarray(both(np.stack([x, -x])))

        z, weights = half_line(400)
        norms = np.sqrt((evaluated(z) ** 2).sum(1) @ weights)
        blocks = np.stack([_block(evaluated, t) for t in angles], 2)
    blocks /= norms[:, None, None, :, None] * norms[:, None, None, None, :]
    value, slope = blocks  # each (signs, angles, deviations, deviations)
    return _compressed(value), _compressed(slope)


def _block(evaluated: Callable[[Floats], Floats], t: float) -> Floats:
    """E f(u) f(v) at one angle, (2 functions, signs of rho, deviations of u, deviations of v).

    Those of rho < 0 are E f(u) f(-v) at -rho.
    """
    cos, sin = np.cos(t / 2), np.sin(t / 2)
    y, along = (part[:, None] for part in half_line(_NODES[0]))
    # u and v of one sign: x = y tan(t/2) + xi, so that u = cos xi and v = u + 2 y sin, or, for
    # y < 0, the other way round; and minus both.
    xi, weights = _graded(_NODES[1])
    share = along * weights * _density(xi + y * (sin / cos))
    near = evaluated(cos * xi)
    far = np.einsum("fsdyx,yx->fsdx", evaluated(cos * xi + 2 * y * sin), share)
    one_sign, reflected = _crossed(near, far)
    # u and v of two signs: x = y tan(t/2) (2 g - 1), so that u = -2 y sin (1 - g) and
    # v = 2 y sin g; and minus both. Substituting 3 h^2 - 2 h^3 crowds the nodes at both ends.
    h, weights = _legendre(_NODES[2])
    g, weights = h * h * (3 - 2 * h), weights * 6 * h * (1 - h)
    share = along * weights * 2 * y * (sin / cos) * _density(y * (sin / cos) * (2 * g - 1))
    right = evaluated(2 * y * sin * g)
    # One product for each y: so small, BLAS uses no threads, which on a busy machine wait for
    # each other for ten seconds.
    right, left = (part.swapaxes(2, 3) for part in (right, right[..., ::-1] * share))
    reflected_gap, gap = (part.sum(1) for part in _crossed(left, right))
    block = np.stack([one_sign, reflected], 1)
    # The other half of the plane, y < 0, exchanges u and v; of the gap it is there already.
    return block + block.mT + np.stack([gap, reflected_gap], 1)


def _crossed(one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """With values at (a, -a) and (b, -b): f(a) f(b) + f(-a) f(-b), and the same with b reflected.

    Values are (2 functions, 2 signs, ..., deviations, nodes).
    """
    same = one[:, 0] @ two[:, 0].mT + one[:, 1] @ two[:, 1].mT
    return same, one[:, 0] @ two[:, 1].mT + one[:, 1] @ two[:, 0].mT


def _compressed(block: Floats) -> Table:
    """Chebyshev coefficients of values at the roots, in the basis that matters in s."""
    for axis in (1, 2, 3):
        size = block.shape[axis]
        angles = (np.arange(size) + 0.5) * np.pi / size
        transform = np.cos(np.outer(np.arange(size), angles)) * 2 / size
        transform[0] /= 2
        block = np.moveaxis(np.tensordot(transform, block, (1, axis)), 0, axis)
    rows = np.moveaxis(block, 2, 0).reshape(block.shape[2], -1)
    basis, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    basis = basis[:, sizes > 1e-12 * sizes[0]]
    return Table(basis, basis.T @ block @ basis)


def _roots(size: int) -> Floats:
    return np.cos((np.arange(size) + 0.5) * np.pi / size)


@lru_cache
def _legendre(size: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return (nodes + 1) / 2, weights / 2


def half_line(size: int) -> tuple[Floats, Floats]:
    """Nodes z > 0 and weights w, sum w g(z) = E[g(|z|)] / 2 for a standard normal variable."""
    nodes, weights = _graded(size)
    return nodes, weights * _density(nodes)


def _graded(size: int) -> tuple[Floats, Floats]:
    """Nodes on [0, _REACH] that crowd at 0, where f(s z) changes over a length of 1 / s."""
    nodes, weights = _legendre(size)
    return _REACH * nodes**3, _REACH * 3 * nodes**2 * weights


def _density(z: Floats) -> Floats:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
