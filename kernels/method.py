"""How a kernel is computed: in closed form, nearly so, or by finite networks. No JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, cast

from pydantic import Field, TypeAdapter, ValidationError

from kernels.errors import SpecError
from kernels.spec.exactness import Exactness
from kernels.spec.model import Seed, Spec
from kernels.spec.pointers import spec_error


class Exact(Spec):
    """The limit itself."""

    type: Literal["exact"] = "exact"

    def results(self, outputs: Sequence[str], architecture: Exactness) -> tuple[str, ...]:
        """Names of the arrays that come out: of an estimate, its standard error too.

        Args:
            outputs: "nngp", "ntk" or both.
            architecture: how exact the network's rules are.
        """
        return _with_errors(outputs) if architecture == "estimated" else tuple(outputs)

    def exactness(self, architecture: Exactness) -> Exactness:
        """How exact a network's kernel is by this method."""
        return architecture


class Additive(Spec):
    """Attention, pointwise layers and global pooling in O(T T') a pair, within a tolerance.

    Attributes:
        tolerance: pairs whose estimated error, relative to sqrt(K(x, x) K(x', x')), is larger are
            computed exactly.
    """

    type: Literal["additive"] = "additive"
    tolerance: Annotated[float, Field(strict=True, gt=0, le=1)] = 1e-5

    def results(self, outputs: Sequence[str], architecture: Exactness) -> tuple[str, ...]:
        """Names of the arrays that come out."""
        return tuple(outputs)

    def exactness(self, architecture: Exactness) -> Exactness:
        """How exact a network's kernel is by this method."""
        return "approximate"


class MonteCarlo(Spec):
    """The mean over independent random networks of finite width, with its standard error.

    Attributes:
        width: channels after every layer with weights.
        heads: heads of every attention layer.
        samples: how many networks are drawn.
        seed: of the random numbers.
    """

    type: Literal["monte_carlo"] = "monte_carlo"
    width: Annotated[int, Field(strict=True, ge=1, le=4096)] = 256
    heads: Annotated[int, Field(strict=True, ge=1, le=1024)] = 8
    samples: Annotated[int, Field(strict=True, ge=2, le=65536)] = 64
    seed: Seed = 0

    def results(self, outputs: Sequence[str], architecture: Exactness) -> tuple[str, ...]:
        """Names of the arrays that come out: each estimate, then its standard error."""
        return _with_errors(outputs)

    def exactness(self, architecture: Exactness) -> Exactness:
        """How exact a network's kernel is by this method."""
        return "estimated"


def _with_errors(outputs: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for output in outputs for name in (output, f"{output}_stderr"))


Method = Exact | Additive | MonteCarlo
EXACT: Final = Exact()

_ADAPTER: Final[TypeAdapter[Method]] = TypeAdapter(Annotated[Method, Field(discriminator="type")])


def parse_method(document: object) -> Method:
    """Reads {"type": "exact"}, {"type": "additive", ...} or {"type": "monte_carlo", ...}, or passes a
    method on.

    Raises:
        SpecError: with the pointer of the first thing that is wrong.
    """
    if isinstance(document, Method):
        return document
    if not isinstance(document, Mapping):
        raise SpecError(f'expected an object with a "type", got {type(document).__name__}')
    mapping = dict(cast("Mapping[str, Any]", document))
    try:
        return _ADAPTER.validate_python(mapping)
    except ValidationError as error:
        raise spec_error(error, mapping, Method) from None
