"""From the body of POST /v1/bounds to its answer.

    body -> BoundsBody           fields and their types            (pydantic)
         -> arrays or numbers    given weights, or how they are drawn
         -> Norms                                                  (kernels.finite.lipschitz)
         -> Bounds per length

Nothing is stored, and no worker is asked: norms of a few matrices take less than a job would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kernels.finite.lipschitz import (
    EQUATIONS,
    SOURCE,
    Norms,
    gaussian_norms,
    lipschitz_bounds,
    norms_of,
)
from service.http.problems import InvalidRequest, TooLarge
from service.requests.kernels import as_body_errors
from service.requests.sources import Source

WEIGHTS = ("wq", "wv", "wo")
PARTS = ("request", *WEIGHTS)

# 134 MB in float64; the largest eigenvalue of the largest square matrix in it takes seconds.
MAX_ENTRIES = 2**24
MAX_HEADS = 4096
MAX_LENGTHS = 1000
# As `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {
    "max_bounds_entries": MAX_ENTRIES,
    "max_bounds_heads": MAX_HEADS,
    "max_bounds_lengths": MAX_LENGTHS,
}

# JSON readers lose digits of larger integers.
Count = Annotated[int, Field(ge=1, le=2**53)]
Std = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class GaussianWeights(BaseModel):
    """Weights that are known only by how they are drawn: independent Gaussians of variance std^2 /
    fan-in, with channels of a head the same for queries and values."""

    model_config = ConfigDict(extra="forbid", strict=True)

    channels: Count = Field(description="D, of an input position")
    heads: Count = Field(description="H, at most max_bounds_heads of GET /v1/limits")
    head_channels: Count | None = Field(
        default=None, description="of a query and of a value; left out, D / H, which must be whole"
    )
    outputs: Count | None = Field(default=None, description="columns of W_O; D if left out")
    q_std: Std = Field(default=1.0, description="of W_Q, whose fan-in is D")
    v_std: Std = Field(default=1.0, description="of W_V, whose fan-in is D")
    o_std: Std = Field(default=1.0, description="of W_O, whose fan-in is H * head_channels")
    failure_probability: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description=(
            "left out, the bounds are evaluated at upper bounds of the expected norms: typical"
            " values, not bounds; given, they hold for at least this share of drawn weights,"
            " 1 - failure_probability"
        ),
    )


class BoundsBody(BaseModel):
    """Lipschitz bounds of an L2 attention layer: of given weights, nested lists here or parts that
    are .npy files, or of Gaussian ones."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lengths: list[Count] = Field(
        min_length=1,
        max_length=MAX_LENGTHS,
        description="numbers of positions of an input, each of which gets its bounds",
    )
    wq: list[Any] | None = Field(
        default=None, description="(H, D, d_k): queries and, tied to them, keys"
    )
    wv: list[Any] | None = Field(default=None, description="(H, D, d_v)")
    wo: list[Any] | None = Field(default=None, description="(H * d_v, outputs)")
    gaussian: GaussianWeights | None = Field(default=None, description="in place of weights")


class LayerShape(BaseModel):
    """The sizes of an attention layer."""

    channels: int = Field(description="D")
    heads: int = Field(description="H")
    key_channels: int = Field(description="d_k, of a query and of a key")
    value_channels: int = Field(description="d_v")
    outputs: int = Field(description="columns of W_O")


class LengthBounds(BaseModel):
    """What is said of inputs of one length."""

    length: int = Field(description="N, positions of an input")
    two: float = Field(description="in the 2-norm (Frobenius, of all positions together)")
    infinity: float = Field(description="in the infinity-norm (the largest entry)")


class BoundsResource(BaseModel):
    """Lipschitz bounds of an L2 attention layer."""

    layer: LayerShape = Field(description="the sizes that weights or wishes gave")
    bounds: list[LengthBounds] = Field(description="one for each length, in the order asked for")
    norms: dict[str, float | list[float]] = Field(
        description=(
            "what the bounds were computed from: two_q and two_v, the spectral norms of each head;"
            " two_o; infinity_q, max_h |W_Q,h|_inf |W_Q,h^T|_inf; infinity_v, max_h |W_V,h^T|_inf;"
            " infinity_o, |W_O^T|_inf"
        )
    )
    statement: str = Field(description="what exactly the numbers are")
    equations: dict[str, str] = Field(description="of both bounds; phi(x) = x exp(x + 1)")
    source: str = Field(description="where they are proved")


def answer(body: BoundsBody, parts: Mapping[str, bytearray]) -> BoundsResource:
    """The bounds that a body and the .npy parts beside it ask for; takes as long as the norms do.

    Raises:
        InvalidRequest: with a pointer to what is wrong.
        TooLarge: a limit of this module, named.
    """
    sources = {name: _source(name, body, parts) for name in WEIGHTS}
    given = [name for name, source in sources.items() if source.given]
    if body.gaussian is not None:
        if given:
            raise InvalidRequest(
                f"expected weights or gaussian, got both {given[0]} and gaussian",
                pointer="/gaussian",
            )
        shape, norms, statement = _drawn(body.gaussian)
    else:
        for name in WEIGHTS:
            if name not in given:
                raise InvalidRequest(
                    f"{name} is missing: send wq, wv and wo, as nested lists or as multipart parts"
                    " that are .npy files, or gaussian",
                    pointer=f"/{name}",
                )
        shape, norms, statement = _of_weights(sources)
    return BoundsResource(
        layer=shape,
        bounds=[_bounds(norms, length, "/wq" if given else "/gaussian") for length in body.lengths],
        norms={name: value for name, value in asdict(norms).items() if name != "key_channels"},
        statement=statement,
        equations=EQUATIONS,
        source=SOURCE,
    )


def _source(name: str, body: BoundsBody, parts: Mapping[str, bytearray]) -> Source:
    inline = getattr(body, name)
    if name in parts and inline is not None:
        raise InvalidRequest(
            f"{name} is given twice, as a part and in the request", pointer=f"/{name}"
        )
    return Source(part=parts.get(name), inline=inline)


def _of_weights(sources: Mapping[str, Source]) -> tuple[LayerShape, Norms, str]:
    arrays: list[np.ndarray] = []
    for name, source in sources.items():
        array = source.read(name)
        assert array is not None, "checked by answer"
        arrays.append(array)
        _check("max_bounds_entries", sum(a.size for a in arrays), MAX_ENTRIES, "entries of weights")
    wq, wv, wo = arrays
    if wq.ndim == 3:
        _check("max_bounds_heads", len(wq), MAX_HEADS, "heads")
    with as_body_errors():
        norms = norms_of(wq, wv, wo)
    shape = LayerShape(
        channels=wq.shape[1],
        heads=wq.shape[0],
        key_channels=wq.shape[2],
        value_channels=wv.shape[2],
        outputs=wo.shape[1],
    )
    return shape, norms, "upper bounds of the Lipschitz constant of the layer with these weights"


def _drawn(drawn: GaussianWeights) -> tuple[LayerShape, Norms, str]:
    _check("max_bounds_heads", drawn.heads, MAX_HEADS, "heads")
    size = drawn.head_channels
    if size is None:
        size, rest = divmod(drawn.channels, drawn.heads)
        if rest:
            raise InvalidRequest(
                f"{drawn.channels} channels are no multiple of {drawn.heads} heads; say"
                " head_channels",
                pointer="/gaussian/heads",
            )
    outputs = drawn.outputs or drawn.channels
    stds = (drawn.q_std, drawn.v_std, drawn.o_std)
    failure = drawn.failure_probability
    norms = gaussian_norms(drawn.channels, drawn.heads, size, outputs, stds, failure)
    statement = (
        "the bounds at upper bounds of the expected norms of the weights: typical values, not upper"
        " bounds of the Lipschitz constant of every draw nor of its expectation"
        if failure is None
        else (
            "upper bounds of the Lipschitz constant of the layer, of all lengths and in both norms"
            f" at once, with probability at least 1 - {failure:g} over the draw of its weights"
        )
    )
    shape = LayerShape(
        channels=drawn.channels,
        heads=drawn.heads,
        key_channels=size,
        value_channels=size,
        outputs=outputs,
    )
    return shape, norms, statement


def _bounds(norms: Norms, length: int, pointer: str) -> LengthBounds:
    found = lipschitz_bounds(norms, length)
    if not (isfinite(found.two) and isfinite(found.infinity)):
        raise InvalidRequest(
            f"the bounds for length {length} are too large for float64; scale the weights down and"
            " the bounds up (they go with the square of wq, and with wv and wo)",
            pointer=pointer,
        )
    return LengthBounds(length=length, two=found.two, infinity=found.infinity)


def _check(name: str, actual: int, limit: int, what: str) -> None:
    if actual > limit:
        raise TooLarge(
            f"the layer may have {limit} {what}, got {actual}; kernels.finite.lipschitz computes"
            " larger ones in Python",
            limit=limit,
            actual=actual,
            also={"limit_name": name},
        )
