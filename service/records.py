"""What a kernel job is: what was asked, what is known about it, and how its result is laid out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field

from kernels.inputs import Form, Inputs
from kernels.layers.layer import Exactness
from kernels.method import EXACT, Method, parse_method
from kernels.plan.tiles import TilePlan
from kernels.spec.architecture import Architecture

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled", "expired"})


@dataclass(frozen=True)
class KernelRequest:
    """A validated request for kernel matrices: its inputs fit its architecture.

    `inputs2` is None for the symmetric matrix of `inputs1` with itself. `outputs` is any
    non-empty selection of "nngp" and "ntk". `datasets` are the ids of those the inputs came from.
    `landmarks` are those that another job was made with, where this one must have the same: the job
    that it `extends` (its id), or that of a prediction's training inputs.
    """

    architecture: Architecture
    inputs1: Inputs
    inputs2: Inputs | None
    outputs: tuple[str, ...]
    dtype: str
    form: Form = "matrix"
    method: Method = EXACT
    warnings: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    landmarks: Inputs | None = None
    extends: str | None = None


class JobRecord(BaseModel):
    """What is known about a job; its JSON form is the heart of `GET /v1/kernels/{id}`.

    `shape` is that of each result: (n1, n2), (n1) for the form "diagonal", with the grids of x and
    x' as further axes for "positions". `exactness` is what method and architecture together give.

    `extends` is the id of the job whose rows this one continues, if it is an extension.

    `architecture` is the digest of the canonical form. `tiles_done` counts finished tiles, of
    which `tiles_reused` came from the cache. `eta_s` is an estimate in seconds, None when there is
    nothing to base one on. `error` is a problem document and `receipt` says what was computed:
    where the network approximates, with `error_estimate`, the largest error of any input by name
    ("mixing": the largest sum over a row of |A - A_exact| of an attention's mixing matrix;
    "landmarks": how far the covariance of random logits may be off, relative to their variances).
    """

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: str
    state: State
    extends: str | None = None
    architecture: str
    dtype: str
    outputs: tuple[str, ...]
    form: str
    method: dict[str, Any]
    exactness: Exactness = "exact"
    shape: tuple[int, ...]
    n1: int
    n2: int
    symmetric: bool
    tiles_total: int
    tiles_done: int = 0
    tiles_reused: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    eta_s: float | None = None
    error: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    receipt: dict[str, Any] | None = None

    @computed_field(description="the names of its arrays")
    @property
    def results(self) -> tuple[str, ...]:
        """The names of the arrays that can be fetched."""
        return parse_method(self.method).results(self.outputs, self.exactness)

    @property
    def ended(self) -> bool:
        """Whether the state can no longer change (except to expired)."""
        return self.state in ENDED


@dataclass(frozen=True)
class JobEvent:
    """A step of a job. Ids are those of Redis streams, "milliseconds-number", and ascend."""

    id: str
    state: State
    tiles_done: int
    tiles_total: int

    @property
    def order(self) -> tuple[int, ...]:
        """What ids are compared by."""
        return tuple(map(int, self.id.split("-")))


@dataclass(frozen=True)
class Layout:
    """Where the pieces of a job's matrices are.

    `digests[t]` names tile `plan.tiles[t]` in the tile store; `done` holds the indices of the
    tiles that have been computed (one of them may since have been evicted: `Jobs.ensure_tiles`).
    """

    record: JobRecord
    plan: TilePlan
    digests: tuple[str, ...]
    done: frozenset[int]
