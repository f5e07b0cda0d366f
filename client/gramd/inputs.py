"""The arrays of a job on their way out: as parts of its request, or as datasets when they are large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

import numpy as np

from gramd import datasets
from gramd.arrays import Array, Inputs, as_inputs, npy
from gramd.datasets import Dataset
from gramd.exchange import JSON, Request, Talk, encode, form
from gramd.retry import Retry


class Parcel:
    """A request's JSON and the `.npy` parts beside it."""

    def __init__(self, document: Mapping[str, Any], network: Any = None) -> None:
        """`network` becomes the architecture; raises TypeError for what is none."""
        fields = (
            document if network is None else {"architecture": network_json(network), **document}
        )
        self.document = {name: value for name, value in fields.items() if value is not None}
        self.parts: dict[str, Array] = {}

    def put(
        self, name: str, x: Inputs | Dataset, mask: Any, mask_name: str, retry: Retry
    ) -> Talk[None]:
        """Take along the inputs `name`, uploading what is too large to come along."""
        if isinstance(x, Dataset):
            if mask is not None:
                raise ValueError(f"the dataset {name} brings its own mask; leave {mask_name} out")
            self.document[name] = {"dataset": x.id}
            return
        values, real = as_inputs(x, mask, name=name)
        if values.nbytes > datasets.WHOLE_BYTES // 2:
            dataset = yield from datasets.create(values, real, retry, name=name)
            self.document[name] = {"dataset": dataset.id}
            return
        self.parts[name] = values
        if real is not None:
            self.parts[mask_name] = real

    def request(self, path: str, wait: float | None) -> Request:
        """The POST that makes a job, which may safely be sent again: its key is its own."""
        headers = {"Idempotency-Key": uuid4().hex}
        if wait is not None:
            headers["Prefer"] = f"wait={max(1, round(wait))}"
        document = encode(self.document)
        if not self.parts:
            headers["Content-Type"] = JSON
            return Request("POST", path, headers=headers, body=document)
        arrays = {name: npy(values) for name, values in self.parts.items()}
        body, headers["Content-Type"] = form({"request": document} | arrays)
        return Request("POST", path, headers=headers, body=body)


def network_json(given: Any) -> dict[str, Any]:
    """The JSON of a network, {"layers": [...]}; raises TypeError for what is none."""
    if not isinstance(given, Mapping):
        raise TypeError(
            "expected a network, spec.network(layer, ...) or its JSON {'layers': [...]}, got a"
            f" {type(given).__name__}"
        )
    return dict(cast("Mapping[str, Any]", given))


def dtype_name(dtype: Any) -> str:
    """ "float32" or "float64", from what numpy takes for one of them; raises ValueError."""
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if dtype is None or name not in ("float32", "float64"):
        raise ValueError(f"expected the dtype float32 or float64, got {dtype!r}")
    return name
