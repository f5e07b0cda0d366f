"""Two main effects put together: the kernels of a pair, and the error that they are estimated to have.

See kernels/engine/additive.py for what is computed, and effects.py for the main effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kernels.engine.additive import IN_TURN, Averages, Parts
from kernels.engine.block import Block
from kernels.engine.chain import Program, run_pair
from kernels.engine.compiled import Compiled, locked_cache
from kernels.engine.effects import Effects, evaluated
from kernels.engine.kept import Chain
from kernels.engine.over_rows import over_rows

_STEEP = 1e-4
"""Gap of the correlation to one below which f may be too steep for the estimate (near duplicates)."""

# The points, in standard deviations of both main effects, of a mixed fourth difference.
_GRID = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
_MIXED = [(1 if a else -2) * (1 if b else -2) / 4 for a, b in _GRID]
_CENTRE = _GRID.index((0, 0))
_HAT_OF = {0: 0, 1: 1, -1: 2}
# The points of second differences: along k and t, and along k and -t.
_STEPS = [(0, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)]


class _Side(NamedTuple):
    """One side of a pair.

    Attributes:
        averages: the input's own.
        above: what the layers above the pool observe of it.
        effect: its main effect against the other side.
    """

    averages: Averages
    above: Chain
    effect: Effects


class _Extent(NamedTuple):
    """How far k_ij and t_ij of a pair may lie from their mean, as main effects and interaction say.

    Attributes:
        mean: kbar and tbar, (2,).
        reach: from the mean to the farthest main effects, (2,).
        interaction: the root mean square of what is dropped, (2,).
        steep: whether the correlation may come too near to one, ().
    """

    mean: Array
    reach: Array
    interaction: Array
    steep: Array


@locked_cache(64)
def combined(parts: Parts) -> Compiled:
    """Compiled (averages1, averages2, above1, above2, effects1, effects2, numbers, count)
    -> ((n, m) by name, (n, m) estimates).

    `effects1` are (n, m, kernels), `effects2` (m, n, kernels). The estimate is of the largest error
    of a kernel, relative to sqrt(K(x, x) K(x', x')).
    """

    def run(
        averages1: Averages,
        averages2: Averages,
        above1: Chain,
        above2: Chain,
        effects1: Effects,
        effects2: Effects,
        numbers: Sequence[Any],
        count: Array,
    ) -> tuple[dict[str, Array], Array]:
        def row(
            averages: Averages, above: Chain, effects: Effects, others: Effects
        ) -> tuple[Array, Array]:
            def pair(effect: Effects, right: _Side) -> tuple[Array, Array]:
                return _of_pair(parts, numbers, _Side(averages, above, effect), right)

            return jax.vmap(pair)(effects, _Side(averages2, above2, others))

        swapped = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), effects2)
        result, estimate = over_rows(row, IN_TURN, count, averages1, above1, effects1, swapped)
        return dict(zip(parts.network.kernels, jnp.moveaxis(result, -1, 0), strict=True)), estimate

    return Compiled(run)


def _of_pair(
    parts: Parts, numbers: Sequence[Any], left: _Side, right: _Side
) -> tuple[Array, Array]:
    """The kernels of one pair, (kernels,), and their largest estimated error, ()."""
    _, _, between, upper = parts.numbers(numbers)
    one, two = left.averages, right.averages
    extent = _extent(left, right)
    pooled, error = _pooled(parts.pointwise, between, left, right, extent)
    error = error * _margin(one.u, two.u)
    scale = one.total * two.total

    def finished(pooled: Array) -> Array:
        kernels = dict(zip(parts.network.kernels, pooled, strict=True))
        block = Block(kernels["nngp"], kernels.get("ntk"))
        done = run_pair(parts.above, block, ((), ()), left.above, right.above, upper)
        return jnp.stack(list(done.named().values()))

    both = jnp.stack([scale * pooled, scale * (pooled + error)])
    result, moved = jax.vmap(finished)(both)
    size = jnp.sqrt(jnp.abs(one.own * two.own))
    relative = jnp.abs(moved - result) / jnp.where(size > 0, size, 1)
    return result, jnp.where(extent.steep, jnp.inf, relative.max())


def _extent(left: _Side, right: _Side) -> _Extent:
    one, two = left.averages, right.averages
    mean = left.effect.mean
    limit = jnp.sqrt(one.variance * two.variance)
    least = jnp.abs(mean[0]) / jnp.where(limit > 0, limit, 1)
    most = left.effect.peak + right.effect.peak - least
    reach = jnp.sign(mean) * (left.effect.most + right.effect.most)
    reach = reach.at[0].set(jnp.sign(mean[0]) * (most - least) * limit)
    interaction = one.spread * two.spread
    steep = most * limit + interaction[0] >= (1 - _STEEP) * limit
    return _Extent(mean, reach, interaction, steep & (limit > 0))


def _pooled(
    program: Program, numbers: Sequence[Any], left: _Side, right: _Side, extent: _Extent
) -> tuple[Array, Array]:
    """What the pool reads, (kernels,), and its estimated error: the mixed fourth difference of the main
    effects, and the curvature where they reach farthest times the square of the interaction."""
    # All points in one expression: XLA takes longer to compile a point at a time.
    ways = jnp.stack([left.effect.deviation, right.effect.deviation])
    steps = jnp.asarray(_STEPS, extent.mean.dtype).T[: len(extent.mean)]
    points = jnp.concatenate(
        [
            extent.mean[:, None] + jnp.matmul(jnp.asarray(_GRID, extent.mean.dtype), ways).T,
            (extent.mean + extent.reach)[:, None] + extent.interaction[:, None] * steps,
        ],
        axis=1,
    )
    hats1 = _at(left.averages.hats, [_HAT_OF[a] for a, _ in _GRID] + [0] * len(_STEPS))
    hats2 = _at(right.averages.hats, [_HAT_OF[b] for _, b in _GRID] + [0] * len(_STEPS))
    f = evaluated(program, points, hats1, hats2, numbers)
    grid, at, around = f[:, : len(_GRID)], f[:, len(_GRID)], f[:, len(_GRID) + 1 :]
    pooled = left.effect.pooled + right.effect.pooled - grid[:, _CENTRE]
    fourth = jnp.matmul(grid, jnp.asarray(_MIXED, f.dtype))
    second = jnp.abs(around[:, ::2] + around[:, 1::2] - 2 * at[:, None]).max(1) / 2
    return pooled, jnp.abs(fourth) + second


def _margin(u1: Array, u2: Array) -> Array:
    """What the estimated error is multiplied by, from the pooling weights, (P,) each: where few positions
    are pooled, the largest interaction may be far above its root mean square. 3.7 for three positions,
    where steep functions (sign) were seen 3.1 times as far off; 1.04 for two hundred."""
    return 1 + 8 * jnp.maximum((u1 * u1).sum(), (u2 * u2).sum())


def _at(hats: Chain, positions: Sequence[int]) -> Chain:
    """Observations at a list of pseudo-positions."""
    index = jnp.asarray(positions)
    return jax.tree.map(lambda leaf: leaf[index], hats)
