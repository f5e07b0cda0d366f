"""One head with random logits: its mixing weights and how they follow the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jax import Array


class Head(NamedTuple):
    """The weights of one head and their derivative by the logits, query by query.

    For query a the derivative of weight j by logit i is J_a[i, j] = slope_ai (1[i = j] - mean_aj),
    which is symmetric: `mean` is a multiple of `slope`, or absent.

    Attributes:
        weights: (T, T), rows are queries; zero where a key is not visible.
        slope: (T, T).
        mean: (T, T); None where each weight depends on its own logit only.
    """

    weights: Array
    slope: Array
    mean: Array | None
