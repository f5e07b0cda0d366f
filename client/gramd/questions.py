"""Questions that make no job: vocabulary, limits, checks, bounds, and what there is to know of a job."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gramd.arrays import as_inputs, npy
from gramd.errors import NotFinished, ServerTrouble
from gramd.exchange import Pause, Reply, Request, Talk, ask, encode, exchange, form, get
from gramd.inputs import network_json
from gramd.jobs import JobLike, path_of
from gramd.retry import Retry
from gramd.waiting import HELD, SHORTEST


def vocabulary(retry: Retry) -> Talk[dict[str, list[dict[str, Any]]]]:
    """The layers and the mechanisms of attention."""
    return (yield from get("/v1/layers", retry))


def limits(retry: Retry) -> Talk[dict[str, float]]:
    """Every limit by name."""
    return (yield from get("/v1/limits", retry))["limits"]


def ready(retry: Retry) -> Talk[bool]:
    """Whether the service can compute now."""
    try:
        yield from exchange(Request("GET", "/readyz"), Retry(attempts=1, patience=retry.patience))
    except ServerTrouble:
        return False
    return True


def describe(
    spec: Mapping[str, Any], input_shape: Sequence[int] | None, retry: Retry
) -> Talk[dict[str, Any]]:
    """A network's canonical form, digest, warnings and output."""
    body: dict[str, Any] = {"architecture": network_json(spec)}
    if input_shape is not None:
        body["input_shape"] = [int(size) for size in input_shape]
    return (yield from ask("/v1/architectures", body, retry))


def diagnostics(job: JobLike, retry: Retry, timeout: float | None) -> Talk[dict[str, Any]]:
    """How good the matrices of a job are."""
    return (yield from _examined(job, "diagnostics", retry, timeout)).json()


def preview(job: JobLike, retry: Retry, timeout: float | None) -> Talk[bytes]:
    """A picture of them."""
    return (yield from _examined(job, "preview.png", retry, timeout)).body


def zarr(job: JobLike, retry: Retry) -> Talk[str]:
    """The path of a job's Zarr group."""
    call = Request("POST", f"{path_of('kernels', job)}/zarr")
    return (yield from exchange(call, retry)).json()["links"]["zarr"]


def bounds(
    weights: Mapping[str, Any], options: Mapping[str, Any], retry: Retry
) -> Talk[dict[str, Any]]:
    """Lipschitz bounds of L2 attention."""
    document = {name: value for name, value in options.items() if value is not None}
    arrays = {name: value for name, value in weights.items() if value is not None}
    if not arrays:
        return (yield from ask("/v1/bounds", document, retry))
    parts = {name: npy(as_inputs(value, name=name)[0]) for name, value in arrays.items()}
    body, kind = form({"request": encode(document)} | parts)
    call = Request("POST", "/v1/bounds", headers={"Content-Type": kind}, body=body)
    return (yield from exchange(call, retry)).json()


def _examined(job: JobLike, what: str, retry: Retry, timeout: float | None) -> Talk[Reply]:
    """As soon as a worker has made it; raises NotFinished when that takes longer than `timeout`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = HELD if deadline is None else min(HELD, max(1.0, deadline - time.monotonic()))
        headers = {"Prefer": f"wait={round(left)}"}
        call = Request("GET", f"{path_of('kernels', job)}/{what}", headers=headers)
        try:
            return (yield from exchange(call, retry))
        except NotFinished as running:
            if deadline is not None and time.monotonic() >= deadline:
                raise
            yield Pause(min(running.retry_after or SHORTEST, left))
