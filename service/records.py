"""What a kernel job is: what was asked, what is known about it, and how its result is laid out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from kernels.architecture import Architecture
from kernels.inputs import Form, Inputs
from kernels.method import EXACT, Method, parse_method
from kernels.plan.tiles import TilePlan
from kernels.spec.exactness import Exactness

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
    """What is known about a job; its JSON form is the heart of `GET /v1/kernels/{id}`."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="its name, in its path")
    tenant: str
    state: State = Field(
        description='queued, running, then one of the others; "expired" follows those at expires_at'
    )
    extends: str | None = Field(
        default=None,
        description="id of the job whose rows this one continues; null unless it is an extension",
    )
    architecture: str = Field(
        description="digest of the canonical form, which links.architecture has"
    )
    dtype: str = Field(description='"float32" or "float64", of the computation and of the results')
    outputs: tuple[str, ...] = Field(description='"nngp", "ntk" or both')
    form: str = Field(description='"matrix", "diagonal" or "positions"')
    method: dict[str, Any] = Field(description="as asked for, defaults filled in")
    exactness: Exactness = Field(
        default="exact", description="what method and architecture together give"
    )
    shape: tuple[int, ...] = Field(
        description=(
            'of each result: (n1, n2); (n1) for the form "diagonal"; with the grids of x and x\' as'
            ' further axes for "positions"'
        )
    )
    n1: int = Field(description="rows of x1")
    n2: int = Field(description="rows of x2, or of x1 again")
    symmetric: bool = Field(description="whether it is the matrix of x1 with itself")
    tiles_total: int = Field(description="tiles of the whole result")
    tiles_done: int = Field(default=0, description="how many of them are finished")
    tiles_reused: int = Field(default=0, description="how many of those came from the cache")
    created_at: datetime = Field(description="when it was asked for (RFC 3339, UTC)")
    started_at: datetime | None = Field(default=None, description="when its first tile began")
    finished_at: datetime | None = Field(default=None, description="when it ended")
    expires_at: datetime = Field(description="when its results are forgotten")
    eta_s: float | None = Field(
        default=None,
        description="estimated seconds to its end; null when there is nothing to base that on",
    )
    error: dict[str, Any] | None = Field(
        default=None,
        description="a problem document: why it failed, or expired early (what was evicted cannot be"
        " computed again)",
    )
    warnings: tuple[str, ...] = Field(
        default=(), description="what is allowed but probably not meant"
    )
    receipt: dict[str, Any] | None = Field(
        default=None,
        description=(
            "once it has succeeded, what was computed: digests, dtype, versions, device, tiles,"
            " seconds; where the network or the method approximates, with `error_estimate`, the"
            ' largest error by name ("mixing": of an input, the largest sum over a row of'
            ' |A - A_exact| of an attention\'s mixing matrix; "landmarks": of an input, how far the'
            " covariance of random logits may be off, relative to their variances;"
            ' "additive": of a pair that the method evaluated, relative to'
            " sqrt(K(x, x) K(x', x')))"
        ),
    )

    @computed_field(description="the names of its arrays")
    @property
    def results(self) -> tuple[str, ...]:
        """The names of the arrays that can be fetched."""
        return parse_method(self.method).results(self.outputs, self.exactness)

    @property
    def ended(self) -> bool:
        """Whether the state can no longer change (except to expired)."""
        return self.state in ENDED


def event_order(event_id: str) -> tuple[int, ...]:
    """What ids of events are compared by: they are those of Redis streams, "milliseconds-number"."""
    return tuple(map(int, event_id.split("-")))


@dataclass(frozen=True)
class JobEvent:
    """A step of a job; ids ascend."""

    id: str
    state: State
    tiles_done: int
    tiles_total: int

    @property
    def order(self) -> tuple[int, ...]:
        """What events are compared by."""
        return event_order(self.id)


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
