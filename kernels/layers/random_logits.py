"""Attention under "sqrt" scaling, whose logits are Gaussian: Cov(G_ai, G'_bj) = qk^2 K~_ab K~_ij."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernels.demand import Demand

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.layers.attention import Attention


def second_moments(layer: Attention, block: Block, site: Site) -> Block:
    """The kernels of the identity mechanism, whose weights are the logits: their covariances."""
    n = site.numbers
    scale = (n["qk_std"] * n["ov_std"]) ** 2
    bias = site.constant(n["b_std"] ** 2)
    key, value = _keys_and_values(layer, block.filled(), site)
    seen = _visible_sum(layer, key.nngp * value.nngp)
    nngp = scale * seen * key.nngp + bias
    if block.ntk is None or key.ntk is None or value.ntk is None:
        return block._replace(nngp=nngp)
    below = _visible_sum(layer, key.nngp * value.ntk + value.nngp * key.ntk)
    ntk = scale * (seen * (key.ntk + 4 * key.nngp) + key.nngp * below) + bias
    return block._replace(nngp=nngp, ntk=ntk)


def mean_over_heads(layer: Attention, block: Block, site: Site) -> Block:
    """The kernels of any other mechanism, estimated, as they are wanted."""
    import jax.numpy as jnp

    from kernels.layers.head_moments import (
        Covariances,
        group_means,
        kernels_of_head,
        mean_of_groups,
        nngp_of_head,
        pooled_nngp_of_head,
    )

    assert layer.estimator is not None
    n, estimator = site.numbers, layer.estimator
    key, value = _keys_and_values(layer, block.filled(), site)
    k = Covariances(value.nngp, key.nngp, value.ntk, key.ntk)
    diagonal = site.wanted_out is Demand.DIAGONAL
    pooled = site.wanted_out is Demand.READOUT and block.ntk is None and layer.residual is None

    def of_head(left: Array, right: Array) -> Any:
        one, two = layer.mechanism.head(left), layer.mechanism.head(right)
        if block.ntk is not None:
            return kernels_of_head(one, two, k, n["qk_std"], diagonal)
        if pooled:
            assert site.left.weights is not None and site.right.weights is not None
            return (pooled_nngp_of_head(one, two, k, site.left.weights, site.right.weights),)
        return (nngp_of_head(one, two, k, diagonal),)

    left, right, included = site.left.seen, site.right.seen, site.included
    assert included is not None
    heads = estimator.heads_of_a_unit
    means = group_means(of_head, left, right, heads, len(included))
    scale, bias = n["ov_std"] ** 2, n["b_std"] ** 2
    if pooled:
        assert site.left.weights is not None and site.right.weights is not None
        bias = bias * jnp.sum(site.left.weights) * jnp.sum(site.right.weights)
    found = [scale * mean_of_groups(mean, included, estimator.units) + bias for mean in means]
    return block._replace(nngp=found[0], ntk=found[1] if len(found) > 1 else None)


def _keys_and_values(layer: Attention, block: Block, site: Site) -> tuple[Block, Block]:
    """The kernels that queries and keys see, and those that values see."""
    key = block.map(lambda k: layer.with_positions(k, site))
    return key, key if layer.positional is not None and layer.positional.in_values else block


def _visible_sum(layer: Attention, products: Array) -> Array:
    """For each pair of queries, the sum over the pairs of keys they see."""
    return products.cumsum(0).cumsum(1) if layer.causal else products.sum()
