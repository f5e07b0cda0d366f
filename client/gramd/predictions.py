"""Predictions: what infinitely wide networks that learnt y_train say of x_test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from gramd.arrays import Array, Inputs
from gramd.datasets import Dataset
from gramd.exchange import Talk, exchange
from gramd.inputs import Parcel, dtype_name
from gramd.jobs import Job, read_job
from gramd.results import Result
from gramd.retry import Retry

COLLECTION = "predictions"
OUTPUTS = ("mean", "variance", "covariance", "classes")


@dataclass(frozen=True, repr=False)
class Prediction(Result):
    """What a prediction came to, for m test inputs. `arrays` has each result by its name."""

    collection: ClassVar[str] = COLLECTION
    noun: ClassVar[str] = "prediction"

    @property
    def mean(self) -> Array:
        """(m) or (m, outputs); of a classification (m, classes), one-hot and centred."""
        return self["mean"]

    @property
    def variance(self) -> Array:
        """(m): of the function, without the noise of a target."""
        return self["variance"]

    @property
    def covariance(self) -> Array:
        """(m, m)."""
        return self["covariance"]

    @property
    def classes(self) -> Array:
        """(m): the class with the largest mean."""
        return self["classes"]


def options_of(
    model: Mapping[str, Any] | str | None,
    task: str,
    outputs: Sequence[str] | None,
    dtype: DTypeLike,
    method: Mapping[str, Any] | str | None,
) -> dict[str, Any]:
    """The fields of a request beside the network and the arrays."""
    names = [outputs] if isinstance(outputs, str) else outputs
    return {
        "model": {"type": model} if isinstance(model, str) else model,
        "task": task,
        "outputs": None if names is None else list(names),
        "dtype": dtype_name(dtype),
        "method": {"type": method} if isinstance(method, str) else method,
    }


def submit(
    spec: Mapping[str, Any],
    x_train: Inputs | Dataset,
    y_train: Any,
    x_test: Inputs | Dataset,
    masks: tuple[Any, Any],
    options: Mapping[str, Any],
    retry: Retry,
    wait: float | None = None,
) -> Talk[Job]:
    """A new prediction; it may have ended already when `wait` seconds were given."""
    parcel = Parcel(options, spec)
    yield from parcel.put("x_train", x_train, masks[0], "mask_train", retry)
    yield from parcel.put("x_test", x_test, masks[1], "mask_test", retry)
    targets = np.asarray(y_train)
    if targets.dtype.kind not in "biuf":
        raise TypeError(
            f"expected y_train to be numbers, got dtype {targets.dtype}; numbers for names of classes:"
            " names, y_train = np.unique(y_train, return_inverse=True)"
        )
    parcel.parts["y_train"] = targets
    return read_job((yield from exchange(parcel.request("/v1/predictions", wait), retry)))
