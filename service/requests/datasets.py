"""What POST and PUT below /v1/datasets bring: whole arrays, the plan of an open one, and its parts."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from kernels.inputs import read_inputs
from service.http.arrays import read_npy
from service.http.bodies import FORM, NPY, OCTETS, media_type, read_body, read_form
from service.http.content_digest import ContentDigest
from service.http.problems import InvalidInput, InvalidRequest
from service.requests.kernels import as_body_errors
from service.store.uploads import Upload

PARTS = ("x", "mask")
ARRAY_TYPES = (NPY, OCTETS, FORM)
# Larger axes would pass every other limit; this keeps their product an integer that JSON can hold.
_Size = Annotated[int, Field(ge=1, le=2**40)]


class OpenDatasetBody(BaseModel):
    """An array to come in parts: part k has the rows from k * part_rows on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shape: list[_Size] = Field(
        min_length=2, max_length=5, description="of the whole array: [n, ..., channels]"
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="parts of a type that it holds without loss are cast to it"
    )
    masked: bool = Field(
        default=False, description="whether parts bring a mask (as forms, parts x and mask)"
    )
    part_rows: int | None = Field(
        default=None, ge=1, le=2**40, description="chosen here when left out: about 8 MiB"
    )


class SealBody(BaseModel):
    """The one change of state of a dataset."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["sealed"] = Field(description="all parts are there")


async def read_array(
    request: Request, limit: int, digest: ContentDigest | None
) -> dict[str, bytearray]:
    """The `.npy` bytes of a request by part, "x" and perhaps "mask"."""
    # A body that names no type (curl -T) is taken for what it must be.
    if media_type(request, ARRAY_TYPES, default=NPY) != FORM:
        return {"x": await read_body(request, limit, digest)}
    parts = await read_form(request, limit, PARTS, digest)
    if "x" not in parts:
        raise InvalidRequest("the part x is missing: a .npy file", pointer="/x")
    return parts


async def read_whole(
    request: Request, parts: dict[str, bytearray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The arrays of a dataset, checked as a job would check them, in the smallest float type that
    holds what came."""
    return await run_sync(_checked, parts, _pointer(request), None)


async def read_part(
    request: Request, parts: dict[str, bytearray], upload: Upload, part: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of one part of an open dataset; raises InvalidRequest for what does not fit it."""
    return await run_sync(_checked, parts, _pointer(request), (upload, part))


def _pointer(request: Request) -> str:
    """Where the array is: a body that is the array itself has no pointer into it."""
    return "/x" if media_type(request, ARRAY_TYPES, default=NPY) == FORM else ""


def _checked(
    parts: dict[str, bytearray], pointer: str, place: tuple[Upload, int] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    x = read_npy(parts["x"], pointer)
    mask = read_npy(parts["mask"], "/mask") if "mask" in parts else None
    if place is None:
        # 24 bits of mantissa hold float16 and integers of up to 16 bits.
        dtype = "float32" if np.can_cast(x.dtype, np.float32, "safe") else "float64"
    else:
        dtype = _check_place(x, mask, *place, pointer)
    with as_body_errors({"/x1": pointer, "/mask1": "/mask"}):
        inputs = read_inputs(x, mask, dtype=dtype, name="x1")
    return inputs.x, inputs.mask


def _check_place(
    x: np.ndarray, mask: np.ndarray | None, upload: Upload, part: int, pointer: str
) -> str:
    """Whether an array is what part `part` must be; the dtype to cast it to."""
    expected = (upload.rows(part), *upload.shape[1:])
    if x.shape != expected:
        raise InvalidInput(
            f"part {part} has the rows from {part * upload.part_rows} on, shape {list(expected)};"
            f" got {list(x.shape)}",
            pointer=pointer,
        )
    dtype = np.dtype(upload.dtype)
    safe = np.can_cast(x.dtype, dtype, "safe") or dtype.itemsize == 8
    if not safe:
        raise InvalidInput(
            f"this dataset is {dtype.name}, which cannot hold {x.dtype} without loss; cast the part,"
            " or open the dataset as float64",
            pointer=pointer,
        )
    if mask is not None and not upload.masked:
        raise InvalidInput("this dataset was opened without masks", pointer="/mask")
    return dtype.name
