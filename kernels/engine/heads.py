"""The heads of a group of inputs: factors of what queries and keys see, then the draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kernels.engine.compiled import Compiled, locked_cache
from kernels.engine.landmarks import PositionKernels, landmark_factor, masks_at
from kernels.engine.workspace import Workspace
from kernels.estimate.draws import key_of, shared_draws
from kernels.estimate.factors import linear_factor, with_positions
from kernels.estimate.heads import Private, heads_of_input
from kernels.estimate.names import names_of
from kernels.estimate.places import Place, places
from kernels.estimate.shared import Shared
from kernels.inputs import Inputs
from kernels.layers.chain import structure_of
from kernels.layers.layer import Layer


class Heads(NamedTuple):
    """The heads of a group of inputs.

    Attributes:
        states: what each input keeps of those of each estimated layer, (n, samples, P, P), with a
            second axis of replicates where what comes in is estimated already.
        beyond_landmarks: the largest share of a position's variance that is beyond the landmarks,
            dropout's part left out, 0 to 1; None where there are none. By Cauchy and Schwarz no
            covariance of queries and keys is further off, relative to the roots of the variances.
    """

    states: tuple[Array, ...]
    beyond_landmarks: float | None


def heads_of_group(
    layers: Sequence[Layer],
    rows: Inputs,
    shared: Shared,
    kernels: PositionKernels,
    workspace: Workspace,
) -> Heads:
    """What the inputs of a group keep of the heads of each estimated layer.

    Args:
        layers: the network, its numbers in it.
        rows: the group, in the job's dtype.
        shared: what all tiles of the result have in common.
        kernels: how the layers below are computed.
        workspace: keeps what all groups need of the landmarks.
    """
    structure = structure_of(layers)
    pairs = zip(places(layers), places(structure), strict=True)
    made = [_heads(place, compiled, rows, shared, kernels, workspace) for place, compiled in pairs]
    beyond = [share for _, share in made if share is not None]
    return Heads(tuple(states for states, _ in made), max(beyond) if beyond else None)


def _heads(
    place: Place,
    structure: Place,
    rows: Inputs,
    shared: Shared,
    kernels: PositionKernels,
    workspace: Workspace,
) -> tuple[Array, float | None]:
    estimator, private, beyond = place.estimator, None, None
    key = key_of(estimator.seed, place.number)
    if place.linear:
        factor = with_positions(place.layer, linear_factor(place.below, rows), rows)
    else:
        factor, own, beyond = landmark_factor(place, rows, shared, kernels, workspace)
        private = Private(jnp.asarray(own, rows.dtype), jnp.asarray(names_of(rows)))
    drawn = shared_draws(key, estimator.units, factor.shape[-1])
    mask = masks_at(place, rows)
    run = _compiled(structure)
    qk_std = jnp.asarray(place.layer.qk_std, rows.dtype)
    real = None if mask is None else jnp.asarray(mask)
    heads = run(jnp.asarray(factor, rows.dtype), private, real, drawn, key, qk_std)
    return heads, beyond


@locked_cache(32)
def _compiled(place: Place) -> Compiled:
    """Compiled (factors, private, masks, shared, key, qk_std) -> (n, samples, P, P).

    See `heads_of_input`. One input after the other: its heads are large enough to be work by
    themselves. Of a layer whose input is estimated, factors and heads have a second axis of
    replicates; the random numbers are the same in all.

    Args:
        place: the estimated layer, numbers taken out.
    """

    def run(
        factors: Array,
        private: Private | None,
        masks: Array | None,
        shared: Array,
        key: Array,
        qk_std: Array,
    ) -> Array:
        def one(each: tuple[Array, Private | None, Array | None]) -> Array:
            factor, own, mask = each
            heads = partial(
                heads_of_input, place.layer, mask=mask, shared=shared, key=key, qk_std=qk_std
            )
            if not place.stacked:
                return heads(factor, own)
            assert own is not None, "what is estimated is not linear"
            name = own.name
            return jax.vmap(lambda f, c: heads(f, Private(c, name)))(factor, own.factor)

        return lax.map(one, (factors, private, masks))

    return Compiled(run)
