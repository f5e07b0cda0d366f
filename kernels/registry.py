"""The one table of layers and mechanisms; everything that lists or parses them finds them here.

Adding a layer is a file under kernels/layers and a line in `LAYERS`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Final

from pydantic import Field

from kernels.layers.activation.elementwise import Elementwise
from kernels.layers.activation.erf import Erf
from kernels.layers.activation.exponentials import Exp, Gaussian
from kernels.layers.activation.gelu import Gelu
from kernels.layers.activation.polynomials import Hermite, Monomial, Polynomial, RectifiedMonomial
from kernels.layers.activation.rectifiers import ABReLU, Abs, LeakyReLU, ReLU, Sign
from kernels.layers.activation.waves import RBF, Cos, Sin
from kernels.layers.attention import Attention
from kernels.layers.conv import Conv
from kernels.layers.dense import Dense
from kernels.layers.dropout import Dropout
from kernels.layers.layer import Layer
from kernels.layers.layer_norm import LayerNorm
from kernels.layers.pool import AvgPool, SumPool
from kernels.layers.readout import Flatten, GlobalAvgPool, GlobalSumPool
from kernels.layers.structure import Parallel, Repeat
from kernels.mechanisms.delta import Delta
from kernels.mechanisms.elementwise import AbsScores, IdentityScores, ReLUScores
from kernels.mechanisms.l2 import L2
from kernels.mechanisms.linear import Linear
from kernels.mechanisms.mechanism import Mechanism
from kernels.mechanisms.performer import Performer
from kernels.mechanisms.softmax import Softmax
from kernels.mechanisms.sparsemax import Sparsemax

LAYERS: Final[tuple[type[Layer], ...]] = (
    Dense,
    Conv,
    AvgPool,
    SumPool,
    GlobalAvgPool,
    GlobalSumPool,
    Flatten,
    LayerNorm,
    Dropout,
    ReLU,
    Abs,
    LeakyReLU,
    ABReLU,
    Sign,
    Erf,
    Gelu,
    Sin,
    Cos,
    RBF,
    Exp,
    Gaussian,
    Monomial,
    RectifiedMonomial,
    Hermite,
    Polynomial,
    Elementwise,
    Parallel,
    Repeat,
    Attention,
)

MECHANISMS: Final[tuple[type[Mechanism], ...]] = (
    Softmax,
    IdentityScores,
    ReLUScores,
    AbsScores,
    Sparsemax,
    L2,
    Linear,
    Delta,
    Performer,
)

AnyLayer = Annotated[reduce(or_, LAYERS), Field(discriminator="type")]
AnyMechanism = Annotated[reduce(or_, MECHANISMS), Field(discriminator="type")]

Attention.model_rebuild(_types_namespace={"AnyMechanism": AnyMechanism})
for _model in (Parallel, Repeat):
    _model.model_rebuild(_types_namespace={"AnyLayer": AnyLayer})


def vocabulary() -> list[dict[str, Any]]:
    """Every layer with its JSON Schema, how exact it is, its equation and source."""
    return [_entry(layer) for layer in LAYERS]


def mechanisms() -> list[dict[str, Any]]:
    """Every attention mechanism with its JSON Schema, how exact it is, its equation and source."""
    return [_entry(mechanism) for mechanism in MECHANISMS]


def _entry(spec: type[Layer] | type[Mechanism]) -> dict[str, Any]:
    return {
        "type": spec.name(),
        "summary": (spec.__doc__ or "").strip().split("\n")[0],
        "schema": spec.model_json_schema(),
        "exactness": spec.exactness,
        "equation": spec.equation,
        "source": spec.source,
    }
