# Made from kernels/registry.py; change that, then run: python -m client.generate
"""Feature maps of linear attention and of the delta rule."""

from __future__ import annotations

from gramd.spec.document import Document, builder, document

__all__ = ["dpfp", "elu_plus_one", "relu"]


@builder
def relu() -> Document:
    """phi(z) = max(z, 0)."""
    return document("relu", {})


@builder
def elu_plus_one() -> Document:
    """phi(z) = 1 + z above zero, exp(z) below."""
    return document("elu_plus_one", {})


@builder
def dpfp(*, nu: int = 1) -> Document:
    """Products of rectified coordinates: z = relu([k, -k]), phi = z_i z_(i + l), l = 1..nu.

    Any two coordinates are independent unless they are one and its negative, so the kernel is the
    square of relu's for every nu: nu only changes how far a finite network is from the limit.

    Ranges:
        nu: >= 1, <= 16.
    """
    return document("dpfp", {}, nu=(nu, 1))
