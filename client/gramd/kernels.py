"""Kernel jobs: asked for, waited for, fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import DTypeLike

from gramd import matrices
from gramd.arrays import Array, Inputs
from gramd.datasets import Dataset
from gramd.exchange import Talk, exchange
from gramd.inputs import Parcel, dtype_name
from gramd.jobs import Job, JobLike, path_of, read_job
from gramd.results import Result
from gramd.retry import Retry

COLLECTION = "kernels"
# The first answer to a job that one call sees through: long enough for small ones.
FIRST = 2.0


@dataclass(frozen=True, repr=False)
class Kernels(Result):
    """What a kernel job computed. `arrays` has each result by its name."""

    collection: ClassVar[str] = COLLECTION

    @property
    def nngp(self) -> Array:
        """The covariance of the network at initialisation, (n1, n2)."""
        return self["nngp"]

    @property
    def ntk(self) -> Array:
        """The kernel that gradient descent follows, (n1, n2)."""
        return self["ntk"]

    @property
    def nngp_stderr(self) -> Array:
        """The standard error of an estimated nngp."""
        return self["nngp_stderr"]

    @property
    def ntk_stderr(self) -> Array:
        """The standard error of an estimated ntk."""
        return self["ntk_stderr"]


def submit(
    spec: Mapping[str, Any],
    x1: Inputs | Dataset,
    x2: Inputs | Dataset | None,
    mask1: Any,
    mask2: Any,
    options: Mapping[str, Any],
    retry: Retry,
    wait: float | None = None,
) -> Talk[Job]:
    """A new job; it may have ended already when `wait` seconds were given."""
    parcel = Parcel(options, spec)
    yield from _put(parcel, x1, x2, mask1, mask2, retry)
    return read_job((yield from exchange(parcel.request("/v1/kernels", wait), retry)))


def estimate(
    spec: Mapping[str, Any],
    x1: Inputs | Dataset,
    x2: Inputs | Dataset | None,
    mask1: Any,
    mask2: Any,
    options: Mapping[str, Any],
    retry: Retry,
) -> Talk[dict[str, Any]]:
    """What such a job would take."""
    parcel = Parcel(options, spec)
    yield from _put(parcel, x1, x2, mask1, mask2, retry)
    return (yield from exchange(parcel.request("/v1/estimates", None), retry)).json()


def extend(
    job: JobLike,
    x1: Inputs | Dataset | None,
    x2: Inputs | Dataset | None,
    mask1: Any,
    mask2: Any,
    retry: Retry,
) -> Talk[Job]:
    """A new job: the matrix of a job's rows followed by new ones."""
    parcel = Parcel({})
    yield from _put(parcel, x1, x2, mask1, mask2, retry)
    path = f"{path_of(COLLECTION, job)}/extensions"
    return read_job((yield from exchange(parcel.request(path, None), retry)))


def _put(
    parcel: Parcel,
    x1: Inputs | Dataset | None,
    x2: Inputs | Dataset | None,
    mask1: Any,
    mask2: Any,
    retry: Retry,
) -> Talk[None]:
    for side, x, mask in ((1, x1, mask1), (2, x2, mask2)):
        if x is not None:
            yield from parcel.put(f"x{side}", x, mask, f"mask{side}", retry)
        elif mask is not None:
            raise ValueError(f"mask{side} is given without x{side}")


def options_of(
    outputs: Sequence[str], dtype: DTypeLike, form: str, method: Mapping[str, Any] | str | None
) -> dict[str, Any]:
    """The fields of a request beside the network and the arrays."""
    named = {"type": method} if isinstance(method, str) else method
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    return {"outputs": names, "dtype": dtype_name(dtype), "form": form, "method": named}


def fetch(
    job: JobLike,
    output: str,
    rows: slice | None,
    cols: slice | None,
    dtype: str | None,
    retry: Retry,
) -> Talk[Array]:
    """One result or part of it; raises NotFinished while those rows are being computed."""
    if isinstance(job, Job):
        path = job.result(output)
    elif output in ("nngp", "ntk", "nngp_stderr", "ntk_stderr"):
        path = f"{path_of(COLLECTION, job)}/{output}"
    else:
        raise ValueError(f"expected nngp, ntk, nngp_stderr or ntk_stderr, got {output!r}")
    return (yield from matrices.fetch(path, retry, rows, cols, dtype))
