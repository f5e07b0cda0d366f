"""The service that estimators ask. They are copied, pickled and sent to other processes; connections
cannot be, so they are kept here, by address and process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import index
from typing import Any, Final, Protocol

import numpy as np

from gramd import spec as s
from gramd.arrays import Array, listed
from gramd.client import Client

DEFAULT_NETWORK: Final = s.network(
    s.dense(w_std=1.5, b_std=0.1), s.relu(), s.dense(w_std=1.5, b_std=0.1)
)
"""One hidden layer of ReLU: for vectors."""


def client_of(url: str | None) -> Client:
    """The client of an address (None: GRAMD_URL) in this process."""
    address = url or os.environ.get("GRAMD_URL")
    return _client(os.getpid(), address, os.environ.get("GRAMD_KEY"))


@lru_cache(maxsize=16)
def _client(_process: int, url: str | None, key: str | None) -> Client:
    return Client(url, key, progress=False)


def network_of(network: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The network that an estimator means."""
    return DEFAULT_NETWORK if network is None else network


class Parameters(Protocol):
    """What a kernel is asked for with: the constructor's arguments, as scikit-learn keeps them."""

    network: Mapping[str, Any] | None
    kind: str
    input_shape: Sequence[int] | int | None
    dtype: str
    method: Mapping[str, Any] | None
    url: str | None


def float64_kernel(asked: Parameters, x1: Any, x2: Any, form: str = "matrix") -> Array:
    """The kernel that is asked for, of x1 with x2 (None: with itself), as scikit-learn takes it."""
    client = client_of(asked.url)
    found = client.kernel(
        network_of(asked.network),
        shaped(x1, asked.input_shape),
        None if x2 is None else shaped(x2, asked.input_shape),
        outputs=(asked.kind,),
        dtype=asked.dtype,
        form=form,
        method=asked.method,
    )
    # What was computed stays cached; of its record no one has any use, and each fit makes several.
    client.kernels.delete(found.job)
    return found[asked.kind].astype(np.float64, copy=False)


def shaped(x: Any, input_shape: Sequence[int] | int | None) -> Any:
    """Rows as the inputs they are: (n, features) to (n, *input_shape). Raises ValueError, and
    TypeError for what is no shape."""
    if input_shape is None:
        return x
    try:
        sizes = [index(size) for size in np.atleast_1d(np.asarray(input_shape, np.object_))]
    except TypeError:
        raise TypeError(f"expected an input_shape such as (T, d), got {input_shape!r}") from None
    rows: Array = np.asarray(listed(x))
    try:
        return rows.reshape(len(rows), *sizes)
    except ValueError:
        raise ValueError(
            f"expected rows of {np.prod(sizes)} numbers, for the input_shape {tuple(sizes)};"
            f" got rows of shape {rows.shape[1:]}"
        ) from None
