"""L2 attention: softmax of minus the squared distance of query and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.mixing import Mixing
from kernels.mechanisms.softmax import softmax_rows
from kernels.spec.model import Numbers

if TYPE_CHECKING:
    from jax import Array


class L2(Mechanism):
    """Softmax of minus the squared distance of query and key, divided by d_k.

    |q_i - k_j|^2 / d_k tends to G_ii + G_jj - 2 G_ij with tied weights, and what a row has in
    common cancels. The matrix W_Q W_Q^T by which the paper multiplies values as well is left out:
    it only scales the NNGP, but its part of the NTK depends on the ratio of d_k and width.
    """

    type: Literal["l2"] = "l2"

    equation: ClassVar[str] = "A_ij = exp(2 G_ij - G_jj) / sum_l exp(2 G_il - G_ll)"
    source: ClassVar[str] = "Kim, Papamakarios & Mnih, arXiv 2006.04710"
    linear_only: ClassVar[str] = (
        "distances of queries and keys under weights of their own are not defined by the logits"
    )

    def mixing(self, logits: Array, visible: Array | None, numbers: Numbers) -> Mixing:
        import jax.numpy as jnp

        return Mixing(softmax_rows(2 * logits - jnp.diagonal(logits)[None, :], visible))
