# Made from kernels/registry.py; change that, then run: python -m client.generate
"""How kernels are computed: in closed form, nearly so, or by finite networks."""

from __future__ import annotations

from gramd.spec.document import Document, builder, document

__all__ = ["additive", "exact", "monte_carlo"]


@builder
def exact() -> Document:
    """The limit itself."""
    return document("exact", {})


@builder
def additive(*, tolerance: float = 1e-05) -> Document:
    """Attention, pointwise layers and global pooling in O(T T') a pair, within a tolerance.

    Attributes:
        tolerance: pairs whose estimated error, relative to sqrt(K(x, x) K(x', x')), is larger are
            computed exactly.

    Ranges:
        tolerance: > 0, <= 1.
    """
    return document("additive", {}, tolerance=(tolerance, 1e-05))


@builder
def monte_carlo(*, width: int = 256, heads: int = 8, samples: int = 64, seed: int = 0) -> Document:
    """The mean over independent random networks of finite width, with its standard error.

    Attributes:
        width: channels after every layer with weights.
        heads: heads of every attention layer.
        samples: how many networks are drawn.
        seed: of the random numbers.

    Ranges:
        width: >= 1, <= 4096.
        heads: >= 1, <= 1024.
        samples: >= 2, <= 65536.
        seed: >= 0, <= 4294967295.
    """
    return document(
        "monte_carlo",
        {},
        width=(width, 256),
        heads=(heads, 8),
        samples=(samples, 64),
        seed=(seed, 0),
    )
