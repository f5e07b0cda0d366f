"""What a prediction is: what was asked, what is known about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from kernels.architecture import Architecture
from kernels.inputs import Inputs
from kernels.method import Method
from kernels.predict.model import GaussianProcess, GradientFlow, KernelRidge, Model
from kernels.predict.targets import Targets, Task
from service.records import ENDED, State

Output = Literal["mean", "variance", "covariance", "classes"]


@dataclass(frozen=True)
class PredictionRequest:
    """A validated request for predictions: inputs fit the architecture, targets the inputs.

    `datasets` are the ids of those that anything of it came from.
    """

    architecture: Architecture
    train: Inputs
    test: Inputs
    targets: Targets
    task: Task
    model: Model
    method: Method
    dtype: str
    outputs: tuple[Output, ...]
    warnings: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def spread(self) -> bool:
        """Whether it needs the kernel of the test inputs with themselves."""
        return "variance" in self.outputs or "covariance" in self.outputs

    @property
    def train_kernels(self) -> tuple[str, ...]:
        """Kernels of the training inputs, and of the test inputs with them, that it needs."""
        if isinstance(self.model, GradientFlow):
            return ("nngp", "ntk") if self.spread else ("ntk",)
        return (self.model.kernel,)

    @property
    def prior_kernel(self) -> str:
        """The kernel of the test inputs with themselves: the covariance before any training."""
        return self.model.kernel if isinstance(self.model, GaussianProcess) else "nngp"


class KernelProgress(BaseModel):
    """One of the kernel jobs that a prediction is made of."""

    id: str = Field(description="of the kernel job, at /v1/kernels/{id}")
    state: State = Field(description="of the kernel job")
    tiles_total: int = Field(description="tiles of its result")
    tiles_done: int = Field(description="how many of them are finished")


class PredictionRecord(BaseModel):
    """What is known about a prediction; its JSON form is the heart of `GET /v1/predictions/{id}`.

    `kernels` are its kernel jobs by role: "train" (x_train with itself), "cross" (x_test with
    x_train) and, where the spread is asked for, "test" (x_test with itself, or its diagonal only).
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="its name, in its path")
    tenant: str
    state: State = Field(
        description='queued, running, then one of the others; "expired" follows those at expires_at'
    )
    architecture: str = Field(
        description="digest of the canonical form, which links.architecture has"
    )
    dtype: str = Field(description="of the kernels; the answers are float64")
    method: dict[str, Any] = Field(description="how the kernels are computed, as asked for")
    task: Task = Field(description="what the targets are")
    model: GaussianProcess | GradientFlow | KernelRidge = Field(
        discriminator="type", description="as asked for, defaults filled in"
    )
    outputs: tuple[Output, ...] = Field(description="what was asked for")
    shapes: dict[str, tuple[int, ...]] = Field(description="of each output")
    labels: tuple[int, ...] | None = Field(
        description="the classes, one a column of the mean; null for regression"
    )
    kernels: dict[str, KernelProgress] = Field(
        description="its kernel jobs: train, cross and, where the spread is asked for, test"
    )
    eta_s: float | None = Field(
        default=None,
        description=(
            "estimated seconds until its kernels are there, after which it is solved; null when there"
            " is nothing to base that on"
        ),
    )
    created_at: datetime = Field(description="when it was asked for (RFC 3339, UTC)")
    started_at: datetime | None = Field(
        default=None, description="when its own task began, after its kernels"
    )
    finished_at: datetime | None = Field(default=None, description="when it ended")
    expires_at: datetime = Field(description="when its answers are forgotten")
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
            "once it has succeeded: diag_reg, jitter, output_scale, log_marginal_likelihood (nats),"
            " leave-one-out scores, warnings (sentences), seconds, and what was reused"
        ),
    )

    @computed_field(description="tiles of its kernels; those of jobs that are gone do not count")
    @property
    def tiles_total(self) -> int:
        """The tiles of its kernels."""
        return sum(kernel.tiles_total for kernel in self.kernels.values())

    @computed_field(description="how many of them are finished")
    @property
    def tiles_done(self) -> int:
        """How many of them are finished."""
        return sum(kernel.tiles_done for kernel in self.kernels.values())

    @computed_field(description="the names of its arrays: its outputs")
    @property
    def results(self) -> tuple[Output, ...]:
        """The names of the arrays that can be fetched."""
        return self.outputs

    @property
    def ended(self) -> bool:
        """Whether the state can no longer change (except to expired)."""
        return self.state in ENDED
