"""The heads of an attention layer at finite width.

With features h (T, n), h h^T / n of mean K, and all weights standard normal, head i has

    linear:  q = k = sqrt(qk_std) h W_Q / sqrt(n),      G = q k^T / d_k
    sqrt:    q = h W_Q / sqrt(n), k = h W_K / sqrt(n),  G = qk_std q k^T / sqrt(d_k)

and f = ov_std / sqrt(H d_v n) sum_i A(G_i) h W_V W_O + b_std b. Under "linear" scaling products
of queries and keys are averages over d_k, so that each A tends to a constant; they need tied
weights, since the mean of a product of independent ones is zero. Under "sqrt" scaling logits stay
random and the sum over heads makes the output Gaussian (Hron et al., arXiv 2006.10540).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernels.spec.model import Numbers
from kernels.spec.width import Normal, Width

if TYPE_CHECKING:
    from jax import Array

    from kernels.layers.attention import Attention


def weights_of_heads(
    layer: Attention, channels: int, grid: tuple[int, ...], width: Width
) -> dict[str, Normal]:
    """Weights by name, the heads along the first axis; see `Layer.weights`."""
    heads, size = width.heads, width.head_channels
    units = layer.output_channels(channels, grid, width)
    weights: dict[str, Normal] = {}
    logit_channels = value_channels = channels
    if layer.positional is not None:
        positions = layer.positional.weights(channels, grid, width)
        weights["positions"] = positions
        concatenated = channels if layer.positional.merge == "concat" else 0
        logit_channels = positions.shape[1] + concatenated
        value_channels = logit_channels if layer.positional.in_values else channels
    weights["q"] = Normal((heads, logit_channels, size), linear=True)
    if layer.scaling == "sqrt":
        weights["k"] = Normal((heads, logit_channels, size), linear=True)
    weights["v"] = Normal((heads, value_channels, size), linear=True)
    weights["o"] = Normal((heads, size, units), linear=True)
    weights["b"] = Normal((units,))
    return weights


def attend(
    layer: Attention,
    weights: dict[str, Any],
    numbers: Numbers,
    x: Array,
    mask: Array | None,
    visible: Array | None,
) -> Array:
    """What all heads together make of one input.

    Args:
        layer: the attention layer, numbers taken out.
        weights: what `weights_of_heads` says, drawn.
        numbers: the layer's numbers, prepared.
        x: (*grid, channels).
        mask: (*grid) bool, or None.
        visible: which keys each query sees, (P, P) bool, or None.

    Returns:
        (*grid, units), before any residual.
    """
    import jax
    import jax.numpy as jnp

    grid = x.shape[:-1]
    values = seen = x / x.shape[-1] ** 0.5
    if layer.positional is not None:
        seen = layer.positional.embedded(weights["positions"], numbers["positional"], seen, mask)
        values = seen if layer.positional.in_values else values
    values, seen = (part.reshape(-1, part.shape[-1]) for part in (values, seen))
    queries = weights["q"]("pc,hck->hpk", seen)
    heads, _, size = queries.shape
    if layer.scaling == "linear":
        queries = keys = jnp.sqrt(numbers["qk_std"]) * queries
        scale: Any = 1 / size
    else:
        keys = weights["k"]("pc,hck->hpk", seen)
        scale = numbers["qk_std"] / size**0.5

    own = numbers.get("mechanism", {})

    def mixing(queries: Array, keys: Array) -> Array:
        return layer.mechanism.finite_mixing(queries, keys, visible, scale, own)

    mixed = jnp.einsum(
        "hpq,hqv->hpv",
        jax.vmap(mixing)(queries, keys),
        weights["v"]("pc,hcv->hpv", values),
    )
    gain = numbers["ov_std"] / (heads * size) ** 0.5
    outputs = gain * weights["o"]("hpv,hvu->pu", mixed)
    outputs = outputs + numbers["b_std"] * weights["b"][None, :]
    return outputs.reshape(*grid, -1)
