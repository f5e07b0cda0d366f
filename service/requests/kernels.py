"""From the body of POST /v1/kernels to a validated KernelRequest.

    body -> KernelBody           its fields and their types          (pydantic)
         -> Source per array     an inline list, a part or a dataset
         -> Inputs               finite, of the job's dtype, masked  (kernels.inputs)
         -> KernelRequest        that fit the architecture           (kernels.compatible.check_job)

Nothing is stored on the way, so a request that is refused leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from kernels.architecture import Architecture, parse_architecture
from kernels.compatible import check_job
from kernels.errors import InputError, KernelError, SpecError
from kernels.inputs import Form, Inputs, read_inputs
from kernels.method import EXACT, Additive, Exact, MonteCarlo
from kernels.spec.pointers import describe, escape, locate
from service.http.problems import InvalidArchitecture, InvalidInput, InvalidRequest
from service.jobs.admission import check_rows
from service.records import KernelRequest
from service.requests.sources import Array, DatasetReference, Source, read_sources
from service.settings import Settings
from service.store.datasets import DatasetStore

Body = TypeVar("Body", bound=BaseModel)

# The arrays of a body, and the field of each one's mask.
MASKS = {"x1": "mask1", "x2": "mask2"}
ARRAYS = (*MASKS, *MASKS.values())
PARTS = ("request", *ARRAYS)


class ArraysBody(BaseModel):
    """The inputs of both sides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    x1: Array | None = Field(
        default=None,
        description=(
            "inputs (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C): nested lists, a dataset, or"
            " absent when it comes as a part"
        ),
    )
    x2: Array | None = Field(
        default=None,
        description="the other side; left out, the matrix is the symmetric one of x1 with itself",
    )
    mask1: list[Any] | None = Field(
        default=None,
        description="true where a position of x1 is real: (n, T), (n, H, W) or (n, D, H, W)",
    )
    mask2: list[Any] | None = Field(default=None, description="the same for x2")

    @property
    def datasets(self) -> tuple[str, ...]:
        """The ids of the datasets among them."""
        sides = (self.x1, self.x2)
        return tuple(given.dataset for given in sides if isinstance(given, DatasetReference))


class KernelBody(ArraysBody):
    """What to compute: the kernels of an infinitely wide network between the rows of x1 and of x2
    (or x1 again)."""

    architecture: dict[str, Any] = Field(
        description='the network, {"layers": [...]}; GET /v1/layers has the vocabulary'
    )
    outputs: list[Literal["nngp", "ntk"]] = Field(
        default=["nngp", "ntk"],
        min_length=1,
        max_length=2,
        description="which kernels: any of the two, each named once",
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="of the computation and of the results"
    )
    form: Form = Field(
        default="matrix",
        description=(
            '"matrix", (n1, n2); "diagonal", (n1): x1[i] with x2[i] (or itself) only, at a fraction'
            ' of the cost; "positions", (n1, n2, positions of x, positions of x\'), of a network'
            " that ends with positions"
        ),
    )
    method: Exact | Additive | MonteCarlo = Field(
        default=EXACT,
        discriminator="type",
        description=(
            '"exact", the closed form; "additive", attention under pointwise layers and a global pool'
            " at the square of the length instead of its cube, pairs whose estimated error exceeds"
            ' the tolerance done exactly; "monte_carlo", the mean over finite networks, with'
            " nngp_stderr and ntk_stderr beside it (width * heads * samples is at most"
            " max_monte_carlo_work)"
        ),
    )


def read_fields(model: type[Body], value: Any) -> Body:
    """A body's fields, checked by its pydantic model; raises InvalidRequest that points at the
    first wrong one."""
    if not isinstance(value, dict):
        raise InvalidRequest("expected a JSON object", pointer="")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False)[:20]
        found = [_finding(item, cast("Mapping[str, Any]", value)) for item in errors]
        also = {"errors": found} if len(found) > 1 else None
        raise InvalidRequest(found[0]["detail"], pointer=found[0]["pointer"], also=also) from error


def read_architecture(document: Mapping[str, Any]) -> Architecture:
    """The architecture in a body's field of that name; raises InvalidArchitecture."""
    with as_body_errors():
        return parse_architecture(document)


@contextmanager
def as_body_errors(places: Mapping[str, str] | None = None) -> Generator[None, None, None]:
    """Turns what kernels refuses into problems whose pointers lead into the body.

    places: where in the body kernels' /x1 and /mask1 are, when they have other names there.
    """
    try:
        yield
    except SpecError as error:
        raise InvalidArchitecture(error.detail, pointer="/architecture" + error.pointer) from error
    except InputError as error:
        pointer = (places or {}).get(error.pointer, error.pointer)
        raise InvalidInput(_in_words_of(error.detail, places or {}), pointer=pointer) from error
    except KernelError as error:
        raise InvalidRequest(error.detail, pointer=error.pointer) from error


def _in_words_of(detail: str, places: Mapping[str, str]) -> str:
    """A sentence of kernels' with the body's names for arrays."""
    for place, name in places.items():
        detail = re.sub(rf"\b{place[1:]}\b", name[1:] or "the array", detail)
    return detail


async def read_kernel_request(
    value: Any,
    parts: Mapping[str, bytearray],
    tenant: str,
    datasets: DatasetStore,
    settings: Settings,
) -> KernelRequest:
    """The request that a JSON value and the .npy parts beside it make; raises InvalidRequest, and
    OverLimit for a side of too many rows."""
    body = read_fields(KernelBody, value)
    if len(set(body.outputs)) != len(body.outputs):
        raise InvalidRequest("every output is named once", pointer="/outputs")
    architecture = read_architecture(body.architecture)
    arrays = await read_sources(body, MASKS, parts, tenant, datasets)
    if not arrays["x1"].given:
        raise InvalidRequest(
            'x1 is missing: send nested lists, {"dataset": id} or a multipart part x1 that is a'
            " .npy file",
            pointer="/x1",
        )
    return await run_sync(_build, body, architecture, arrays, settings)


def read_side(
    number: int, arrays: Mapping[str, Source], dtype: str, settings: Settings
) -> Inputs | None:
    """The inputs of one side, None when it is absent; raises InvalidRequest, InputError, OverLimit."""
    x = arrays[f"x{number}"].read(f"x{number}")
    if x is None:
        return None
    mask = arrays[f"mask{number}"].read(f"mask{number}")
    inputs = read_inputs(x, mask, dtype=dtype, name=f"x{number}")
    check_rows(len(inputs), settings)
    return inputs


def _build(
    body: KernelBody, architecture: Architecture, arrays: Mapping[str, Source], settings: Settings
) -> KernelRequest:
    """The heavy part, run in a thread: arrays read, cast and checked."""

    with as_body_errors():
        inputs1, inputs2 = (read_side(side, arrays, body.dtype, settings) for side in (1, 2))
        assert inputs1 is not None, "checked by read_kernel_request"
        warnings = check_job(architecture, inputs1, inputs2, body.form, body.method)
    return KernelRequest(
        architecture=architecture,
        inputs1=inputs1,
        inputs2=inputs2,
        outputs=tuple(body.outputs),
        dtype=body.dtype,
        form=body.form,
        method=body.method,
        warnings=tuple(warnings),
        datasets=body.datasets,
    )


def _finding(item: ErrorDetails, document: Mapping[str, Any]) -> dict[str, str]:
    """Where in a body pydantic found what, in the body's own words."""
    location = item["loc"]
    if item["type"] == "missing":
        # The deepest place that is there is where it should have stood.
        pointer = f"{locate(document, location[:-1])}/{escape(location[-1])}"
        return {"pointer": pointer, "detail": "this field is required"}
    extra = item["type"] == "extra_forbidden"
    detail = "there is no field of this name here" if extra else describe(item)
    return {"pointer": locate(document, location), "detail": detail}
