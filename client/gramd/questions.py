"""Questions that are answered at once and leave nothing behind: vocabulary, limits, checks, bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gramd.arrays import as_inputs, npy
from gramd.errors import ServerTrouble
from gramd.exchange import Request, Talk, ask, encode, exchange, form, get
from gramd.retry import Retry


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
    body: dict[str, Any] = {"architecture": dict(spec)}
    if input_shape is not None:
        body["input_shape"] = [int(size) for size in input_shape]
    return (yield from ask("/v1/architectures", body, retry))


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
