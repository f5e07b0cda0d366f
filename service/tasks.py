"""One tile as a task: everything a worker needs to compute it, in plain strings."""

import json
from dataclasses import dataclass
from typing import Any

from kernels.inputs import Form


@dataclass(frozen=True)
class TileTask:
    """Names of the parts of one tile, by content; `rows2` is "" for a tile on the diagonal.

    `flight` numbers the times that tiles were put in flight, so that a tile asked for again just
    when its last run is ending is a task of its own and not taken for that run.

    `landmarks` names inputs frozen with the job, for networks that need some, else "".

    `job` is the first to ask for the tile, `request` the id of the HTTP request that made the job, and
    `trace` its place in a trace (W3C traceparent), "" where there is none: for logs and traces only.

    `outputs` is comma-separated and `method` is JSON, since a queue carries plain strings only.
    """

    tenant: str
    tile: str
    architecture: str
    rows1: str
    rows2: str
    dtype: str
    outputs: str
    form: Form
    method: str
    flight: str
    landmarks: str = ""
    job: str = ""
    request: str = ""
    trace: str = ""

    @property
    def ref(self) -> str:
        """The tile's name across tenants."""
        return f"{self.tenant}:{self.tile}"

    @property
    def key(self) -> str:
        """What the queue knows this run by."""
        return f"{self.ref}:{self.flight}"

    def about(self) -> dict[str, str]:
        """What every log line of this tile says."""
        return {
            "tenant": self.tenant,
            "tile": self.tile,
            "job": self.job,
            "request_id": self.request,
        }

    @classmethod
    def from_flight(cls, flight: bytes | str) -> "TileTask":
        """The task of an entry of the in-flight table (see `store.scripts.TAKE`)."""
        entry: dict[str, Any] = json.loads(flight)
        tenant, _, digest = entry["tile"].partition(":")
        common: dict[str, Any] = json.loads(entry["task"])
        return cls(
            tenant,
            digest,
            rows1=entry["rows1"],
            rows2=entry["rows2"],
            flight=entry["flight"],
            job=entry["owner"].partition(":")[2],
            **common,
        )
