"""The service that estimators ask. They are copied, pickled and sent to other processes; connections
cannot be, so they are kept here, by address and process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from gramd import spec as s
from gramd.arrays import Array
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


def shaped(x: Any, input_shape: Sequence[int] | None) -> Any:
    """Rows as the inputs they are: (n, features) to (n, *input_shape). Raises ValueError."""
    if input_shape is None:
        return x
    rows: Array = np.asarray(x)
    try:
        return rows.reshape(len(rows), *input_shape)
    except ValueError:
        raise ValueError(
            f"expected rows of {np.prod(input_shape)} numbers, for the input_shape"
            f" {tuple(input_shape)}; got rows of shape {rows.shape[1:]}"
        ) from None
