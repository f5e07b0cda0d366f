"""What workers do, as tasks in plain strings: a tile, or an answer made of finished tiles."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from kernels.architecture import Architecture
from kernels.inputs import Form, Inputs
from kernels.method import Method, parse_method
from kernels.result import TileResult
from service.store import keys

Lane = Literal["shared", "spare"]
"""Which of a worker's places a task takes: one of those for whichever job's turn it is, or the one that is
kept for jobs none of whose tasks is in flight (see `dispatch.py`)."""


@dataclass(frozen=True)
class Asked:
    """What is to be computed of two groups of rows: as in `kernels.engine.tile.compute_tile`."""

    outputs: tuple[str, ...]
    form: Form
    method: Method


@dataclass(frozen=True)
class TileTask:
    """Names of the parts of one tile, by content; `rows2` is "" for a tile on the diagonal.

    `flight` numbers the times that tiles were put in flight, so that a tile asked for again just
    when its last run is ending is a task of its own and not taken for that run.

    `landmarks` names inputs frozen with the job, for networks that need some, else "".

    `job` is the first to ask for the tile, `request` the id of the HTTP request that made the job, and
    `trace` its place in a trace (W3C traceparent), "" where there is none: for logs and traces only.

    `outputs` is comma-separated and `method` is JSON, as they stand in the job's record, whose part
    goes through Lua as it is.
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
    lane: Lane = "shared"

    @property
    def ref(self) -> str:
        """The tile's name across tenants."""
        return keys.ref(self.tenant, self.tile)

    def asked(self) -> Asked:
        """Its outputs, form and method as values."""
        method = parse_method(json.loads(self.method))
        return Asked(tuple(self.outputs.split(",")), self.form, method)

    def about(self) -> dict[str, str]:
        """What every log line of this tile says."""
        return {
            "tenant": self.tenant,
            "tile": self.tile,
            "job": self.job,
            "request_id": self.request,
        }


AnswerKind = Literal["prediction", "diagnostics", "preview"]


@dataclass(frozen=True)
class AnswerTask:
    """Something made of finished kernel jobs: a prediction, diagnostics, a preview.

    `answer` is the id of its record, by which it is found; its layout there has the rest. `kind` says
    what is to be made; `flight`, `request`, `trace` and `lane` are as in `TileTask`.
    """

    tenant: str
    answer: str
    kind: AnswerKind
    flight: str
    request: str = ""
    trace: str = ""
    lane: Lane = "shared"

    @property
    def ref(self) -> str:
        """Its name across tenants; what a tile's digest is to a tile, its id is to an answer."""
        return keys.ref(self.tenant, self.answer)

    def about(self) -> dict[str, str]:
        """What every log line of this answer says."""
        return {
            "tenant": self.tenant,
            "job": self.answer,
            "kind": self.kind,
            "request_id": self.request,
        }


Task = TileTask | AnswerTask


def as_text(task: Task) -> str:
    """A task as JSON, for the queue."""
    return json.dumps(asdict(task))


def read_task(text: str) -> Task:
    """The task of `as_text`."""
    fields: dict[str, Any] = json.loads(text)
    return AnswerTask(**fields) if "answer" in fields else TileTask(**fields)


def read_flight(flight: bytes | str) -> Task:
    """The task of an entry of the in-flight table (see `store.scripts.TAKE`)."""
    entry: dict[str, Any] = json.loads(flight)
    tenant, name = keys.split(entry["tile"])
    common: dict[str, Any] = json.loads(entry["task"])
    common |= {"flight": entry["flight"], "lane": entry["lane"]}
    if "answer" in common:
        return AnswerTask(tenant, name, common.pop("answer"), **common)
    return TileTask(
        tenant,
        name,
        rows1=entry["rows1"],
        rows2=entry["rows2"],
        job=keys.split(entry["owner"])[1],
        **common,
    )


class Compute(Protocol):
    """Computes one tile; `service.worker.worker.compute` does."""

    def __call__(
        self,
        architecture: Architecture,
        rows1: Inputs,
        rows2: Inputs | None,
        landmarks: Inputs | None,
        asked: Asked,
        should_stop: Callable[[], bool],
    ) -> TileResult: ...
