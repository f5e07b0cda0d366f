"""Datasets: inputs that several jobs share, uploaded whole or in parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np

from gramd.arrays import Array, Inputs, as_inputs, npy
from gramd.errors import UnexpectedAnswer
from gramd.exchange import JSON, Reply, Request, Talk, encode, exchange, form
from gramd.retry import Retry

# Arrays of more bytes than this travel in parts, so that a lost connection costs one part.
WHOLE_BYTES = 32 << 20
PATH = "/v1/datasets"


@dataclass(frozen=True, repr=False)
class Dataset:
    """One dataset as the service describes it; it can stand wherever a job takes inputs."""

    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Dataset {self.id}: {'x'.join(map(str, self.shape))}{'' if self.sealed else ', open'}>"

    @property
    def id(self) -> str:
        """Its name, which depends on its content alone once it is sealed."""
        return self.document["id"]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C)."""
        return tuple(self.document["shape"])

    @property
    def sealed(self) -> bool:
        """Whether it is whole; an open one still takes parts."""
        return self.document.get("state", "sealed") == "sealed"

    @property
    def received(self) -> tuple[int, ...]:
        """The parts of an open one that are there."""
        return tuple(self.document.get("received", ()))


DatasetLike: TypeAlias = Dataset | str
"""A dataset, or its id."""


def read_dataset(reply: Reply) -> Dataset:
    """The dataset that an answer describes."""
    document = reply.json()
    if not {"id", "shape"} <= document.keys():
        raise UnexpectedAnswer(f"expected a dataset, got {str(document)[:200]!r}")
    return Dataset(document)


def path_of(dataset: DatasetLike) -> str:
    """/v1/datasets/ID. Raises ValueError for what can be no id."""
    name = dataset.id if isinstance(dataset, Dataset) else dataset
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise ValueError(f"expected the id of a dataset, got {name!r}")
    return f"{PATH}/{name}"


def look(dataset: DatasetLike, retry: Retry) -> Talk[Dataset]:
    """What is known of a dataset."""
    return read_dataset((yield from exchange(Request("GET", path_of(dataset)), retry)))


def delete(dataset: DatasetLike, retry: Retry) -> Talk[None]:
    """The dataset is gone, and so are the tiles made from it."""
    yield from exchange(Request("DELETE", path_of(dataset)), retry)


def create(
    x: Inputs, mask: Any, retry: Retry, *, part_rows: int | None = None, name: str = "x"
) -> Talk[Dataset]:
    """A sealed dataset of these inputs; the same content gets the same id.

    Up to 32 MiB travel in one request, more of it in parts (as they do if `part_rows` is given).
    """
    values, real = as_inputs(x, mask, name=name)
    if part_rows is None and values.nbytes <= WHOLE_BYTES:
        # Content-addressed: sending it again finds what the first time made.
        body, kind = _body(values, real)
        call = Request("POST", PATH, headers={"Content-Type": kind}, body=body)
        return read_dataset((yield from exchange(call, retry)))
    dataset = yield from begin(values, real, retry, part_rows)
    return (yield from fill(dataset, values, real, retry))


def begin(x: Array, mask: Array | None, retry: Retry, part_rows: int | None) -> Talk[Dataset]:
    """An open dataset that has room for `x`."""
    plan: dict[str, Any] = {
        "shape": list(x.shape),
        "dtype": "float32" if np.can_cast(x.dtype, np.float32, "safe") else "float64",
        "masked": mask is not None,
    }
    if part_rows is not None:
        plan["part_rows"] = part_rows
    headers = {"Content-Type": JSON, "Idempotency-Key": uuid4().hex}
    call = Request("POST", PATH, headers=headers, body=encode(plan))
    return read_dataset((yield from exchange(call, retry)))


def resume(dataset: DatasetLike, x: Inputs, mask: Any, retry: Retry) -> Talk[Dataset]:
    """The sealed dataset that an open one becomes when its missing parts are sent.

    `x` is the whole array. Parts that are there are compared by their digests, and sent again where
    they differ, so what is sealed is `x` whatever was sent before.
    """
    values, real = as_inputs(x, mask, name="x")
    known = yield from look(dataset, retry)
    return known if known.sealed else (yield from fill(known, values, real, retry))


def fill(dataset: Dataset, x: Array, mask: Array | None, retry: Retry) -> Talk[Dataset]:
    """Send the parts that are missing or are others, then seal."""
    if dataset.shape != x.shape:
        raise ValueError(f"the dataset {dataset.id} has shape {dataset.shape}, x has {x.shape}")
    if bool(dataset.document.get("masked")) != (mask is not None):
        state = "with" if mask is None else "without"
        raise ValueError(f"the dataset {dataset.id} was begun {state} a mask")
    there = dict(zip(dataset.received, dataset.document.get("digests", ()), strict=False))
    path = path_of(dataset)
    for part, rows in _parts(dataset):
        real = None if mask is None else mask[rows]
        if part not in there or there[part] != _digest(dataset, x[rows], real):
            body, kind = _body(x[rows], real)
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            headers = {"Content-Type": kind, "Content-Digest": f"sha-256=:{digest}:"}
            call = Request("PUT", f"{path}/parts/{part}", headers=headers, body=body)
            yield from exchange(call, retry)
    seal = encode({"state": "sealed"})
    call = Request("PATCH", path, headers={"Content-Type": JSON}, body=seal)
    return read_dataset((yield from exchange(call, retry)))


def _parts(dataset: Dataset) -> Iterator[tuple[int, slice]]:
    size = int(dataset.document["part_rows"])
    for part in range(int(dataset.document["parts"])):
        yield part, slice(part * size, (part + 1) * size)


def _digest(dataset: Dataset, x: Array, mask: Array | None) -> str:
    """What the service says of a part that has these rows: masked positions are zero there, and a mask
    that hides nothing is none."""
    values = x if mask is None else np.where(mask[..., None], x, 0)
    digest = hashlib.sha256(np.ascontiguousarray(values, dataset.document["dtype"]).tobytes())
    if mask is not None and not mask.all():
        digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def _body(x: Array, mask: Array | None) -> tuple[bytes, str]:
    """An array and its mask as a request's body, and its content type."""
    if mask is None:
        return npy(x), "application/x-npy"
    return form({"x": npy(x), "mask": npy(mask)})
