"""Where the arrays of a request are: inline lists, parts of a form or datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from service.errors import UnknownDataset
from service.http.arrays import read_list, read_npy
from service.http.problems import InvalidRequest
from service.store.datasets import DatasetStore


class DatasetReference(BaseModel):
    """An uploaded dataset in the place of an array; its mask comes with it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str = Field(description="id of a dataset of POST /v1/datasets", max_length=64)


# So that errors are of the kind that was meant. Tags stand in their locations; no body has such names.
LIST, REFERENCE = "(list)", "(reference)"
Array = Annotated[
    Annotated[list[Any], Tag(LIST)] | Annotated[DatasetReference, Tag(REFERENCE)],
    Discriminator(lambda value: REFERENCE if isinstance(value, dict) else LIST),
]


@dataclass(frozen=True)
class Source:
    """Where the values of one array are: exactly one of a part, a list and a dataset; None of them
    when absent."""

    part: bytearray | None = None
    inline: list[Any] | None = None
    stored: np.ndarray | None = None

    @property
    def given(self) -> bool:
        return any(place is not None for place in (self.part, self.inline, self.stored))

    def read(self, name: str) -> np.ndarray | None:
        """The array, as it came; raises InvalidRequest with a pointer below /name."""
        if self.part is not None:
            return read_npy(self.part, f"/{name}")
        if self.inline is not None:
            return read_list(self.inline, f"/{name}", boolean=name.startswith("mask"))
        return self.stored


async def read_sources(
    body: BaseModel,
    masks: Mapping[str, str],
    parts: Mapping[str, bytearray],
    tenant: str,
    datasets: DatasetStore,
) -> dict[str, Source]:
    """Where the arrays of a body are, by name.

    masks: the field of the mask of each array. Raises InvalidRequest for what is given twice, and
    for a mask of nothing.
    """
    sources: dict[str, Source] = {}
    for name, mask in masks.items():
        sources[name], stored = await array_source(
            name, getattr(body, name), parts, tenant, datasets
        )
        sources[mask] = _mask_source(mask, getattr(body, mask), parts, stored)
        if sources[mask].given and not sources[name].given:
            raise InvalidRequest(f"{mask} is given without {name}", pointer=f"/{mask}")
    return sources


async def array_source(
    name: str,
    given: list[Any] | DatasetReference | None,
    parts: Mapping[str, bytearray],
    tenant: str,
    datasets: DatasetStore,
) -> tuple[Source, np.ndarray | None]:
    """Where an array is that the body has as `given`, and the mask that a dataset brings along."""
    if name in parts and given is not None:
        raise InvalidRequest(
            f"{name} is given twice, as a part and in the request", pointer=f"/{name}"
        )
    if name in parts:
        return Source(part=parts[name]), None
    if isinstance(given, DatasetReference):
        try:
            x, mask = await datasets.load(tenant, given.dataset)
        except UnknownDataset as error:
            raise InvalidRequest(str(error), pointer=f"/{name}/dataset") from error
        return Source(stored=x), mask
    return Source(inline=given), None


def _mask_source(
    name: str,
    given: list[Any] | None,
    parts: Mapping[str, bytearray],
    stored: np.ndarray | None,
) -> Source:
    """Where a mask is that the body has as `given`; `stored` came with a dataset."""
    if (name in parts) + (given is not None) + (stored is not None) > 1:
        raise InvalidRequest(
            f"{name} is given twice; a dataset brings its own mask", pointer=f"/{name}"
        )
    return Source(part=parts.get(name), inline=given, stored=stored)
