"""The JSON bodies of responses."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.answers.records import PredictionRecord
from service.records import JobRecord
from service.store.datasets import Dataset
from service.store.uploads import Upload


class Status(BaseModel):
    """Alive or ready."""

    status: str = Field(description='"alive", or "ready": the stores answer and a worker is there')


class LayerType(BaseModel):
    """One layer type, or one attention mechanism, of the vocabulary."""

    type: str = Field(description="its name in an architecture")
    summary: str = Field(description="what it is, in a sentence")
    schema_: dict[str, Any] = Field(
        alias="schema", description="JSON Schema of the layer, with its defaults"
    )
    exactness: str = Field(
        description='"exact", "approximate" (to a stated tolerance) or "estimated" (with standard errors)'
    )
    equation: str = Field(description="of its rule in the limit")
    source: str = Field(description="where that is derived")


class Layers(BaseModel):
    """The vocabulary of architectures."""

    layers: list[LayerType] = Field(description="what `type` of a layer can be")
    mechanisms: list[LayerType] = Field(description="what `mechanism` of an attention layer can be")


class Limits(BaseModel):
    """Every limit in force by name."""

    limits: dict[str, int | float] = Field(
        description="by name; bytes, seconds (names that end in _s) or plain numbers"
    )


class ArchitectureResource(BaseModel):
    """An architecture in canonical form."""

    architecture: dict[str, Any] = Field(
        description="the canonical form: defaults filled in, `repeat` expanded"
    )
    digest: str = Field(description="SHA-256 of the canonical form")
    warnings: list[str] = Field(
        description="what is allowed but probably not meant: a parameter without effect, a limit "
        "that degenerates"
    )
    description: dict[str, Any] | None = Field(
        description="what comes out for the input shape given: input and output, each with `positions`"
        " and `channels` (null: infinitely many), the same in `steps` after every layer by its"
        " `pointer`, `kernel` and `exactness`"
    )


class CanonicalArchitecture(BaseModel):
    """A network in canonical form, as a request's `architecture` can have it."""

    layers: list[dict[str, Any]] = Field(description="defaults filled in, `repeat` expanded")


class DatasetResource(Dataset):
    """An uploaded dataset."""

    state: Literal["sealed"] = Field(default="sealed", description="whole: jobs can use it")
    links: dict[str, str] = Field(description="self")

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetResource:
        """The resource of a stored dataset."""
        return cls(**dataset.model_dump(), links={"self": f"/v1/datasets/{dataset.id}"})


class OpenDatasetResource(BaseModel):
    """A dataset that is being filled in parts: part k has the rows from k * part_rows on."""

    id: str = Field(description="leads, once it is sealed, to the dataset that it became")
    state: Literal["open", "sealing"] = Field(
        description='"open", parts are taken; "sealing", they are being put together'
    )
    shape: tuple[int, ...] = Field(description="of the whole array")
    dtype: str = Field(description='"<f4" or "<f8", little-endian')
    masked: bool = Field(description="whether parts bring a mask")
    bytes: int = Field(description="booked against max_input_bytes")
    part_rows: int = Field(description="rows of every part but the last, which may have fewer")
    parts: int = Field(description="how many parts there are to be")
    received: tuple[int, ...] = Field(description="the parts that are there")
    digests: tuple[str, ...] = Field(
        description="of each of them the SHA-256 (hex) of its values, in this dtype and little-endian,"
        " row after row, zero where masked, and of the bits of its mask (eight positions a byte, the"
        " first one highest), unless it hides nothing"
    )
    created_at: datetime = Field(description="when it was opened (RFC 3339, UTC)")
    expires_at: datetime = Field(description="when it is forgotten, unless it is sealed before")
    links: dict[str, str] = Field(description="self, and parts, below which part k is")

    @classmethod
    def of(cls, upload: Upload) -> OpenDatasetResource:
        """The resource of an upload that is not sealed yet."""
        path = f"/v1/datasets/{upload.id}"
        fields = asdict(upload)
        del fields["dataset"]
        return cls(**fields, parts=upload.parts, links={"self": path, "parts": f"{path}/parts"})


class KernelResource(JobRecord):
    """A kernel job: what was asked, how far it is, and where its matrices are."""

    tenant: str = Field(default="", exclude=True)
    links: dict[str, str] = Field(
        description=(
            "self; one for each of `results`; and what else there is about the job, which is no array:"
            " architecture, events and, of matrices, diagnostics and preview"
        )
    )

    @classmethod
    def of(cls, record: JobRecord) -> KernelResource:
        """The resource of a job's record; whose it is stays inside."""
        path = f"/v1/kernels/{record.id}"
        links = {"self": path} | {result: f"{path}/{result}" for result in record.results}
        links |= {"architecture": f"{path}/architecture", "events": f"{path}/events"}
        if record.form == "matrix":
            links |= {"diagnostics": f"{path}/diagnostics", "preview": f"{path}/preview.png"}
        return cls(**record.model_dump(exclude={"tenant"}), links=links)


class KernelList(BaseModel):
    """One page of jobs, newest first."""

    kernels: list[KernelResource] = Field(description="the jobs of this page")
    next: str | None = Field(description="the cursor of the next page; null on the last one")


class ZarrResource(BaseModel):
    """A way into a job's results for readers of Zarr."""

    links: dict[str, str] = Field(description="zarr, the group; it needs no other key")
    expires_at: datetime = Field(description="when the path stops working (RFC 3339, UTC)")


class PredictionResource(PredictionRecord):
    """A prediction: what was asked, how far it is, and where its arrays are."""

    tenant: str = Field(default="", exclude=True)
    links: dict[str, str] = Field(
        description=(
            "self; one for each of `results`; and what else there is about it, which is no array:"
            " architecture, events, and its kernel jobs, kernels.train and so on"
        )
    )

    @classmethod
    def of(cls, record: PredictionRecord) -> PredictionResource:
        """The resource of a prediction's record; whose it is stays inside."""
        path = f"/v1/predictions/{record.id}"
        links = {"self": path} | {output: f"{path}/{output}" for output in record.outputs}
        links |= {"architecture": f"{path}/architecture", "events": f"{path}/events"} | {
            f"kernels.{role}": f"/v1/kernels/{kernel.id}" for role, kernel in record.kernels.items()
        }
        return cls(**record.model_dump(exclude={"tenant"}), links=links)


class PredictionList(BaseModel):
    """One page of predictions, newest first."""

    predictions: list[PredictionResource] = Field(description="those of this page")
    next: str | None = Field(description="the cursor of the next page; null on the last one")


class SpotCheck(BaseModel):
    """Entries as served against the same entries computed in float64."""

    entries: int = Field(description="how many were compared")
    largest_relative_error: float = Field(description="relative to the largest of these entries")


class KernelDiagnostics(BaseModel):
    """One kernel of a job."""

    smallest_eigenvalue: float | None = Field(
        default=None,
        description="null unless the matrix is square, of x1 with itself; as those below",
    )
    largest_eigenvalue: float | None = Field(default=None, description="of the same matrix")
    condition_number: float | None = Field(
        default=None,
        description="largest over smallest eigenvalue; null where the smallest is not positive",
    )
    mean_diagonal: float | None = Field(
        default=None, description="what a relative diag_reg is relative to"
    )
    asymmetry: float | None = Field(
        default=None, description="the largest |K - K^T| over the largest |K|"
    )
    suggested_jitter: float | None = Field(
        default=None,
        description=(
            "absolute: what to add to the diagonal to factorise it in float64, 0 for nothing; null"
            " when a thousandth of the mean diagonal is not enough"
        ),
    )
    spot_check: SpotCheck | None = Field(
        default=None,
        description="of exact kernels in float32; null for others, which are no worse than asked for",
    )


class Diagnostics(BaseModel):
    """How well the matrices of a kernel job can be factorised, and how accurate they are."""

    kernel: str = Field(description="id of the job")
    square: bool = Field(
        description="whether it is the matrix of x1 with itself, which has eigenvalues"
    )
    results: dict[str, KernelDiagnostics] = Field(description="by output, nngp and ntk")


class Matrix(BaseModel):
    """A result, or the part of it that was asked for, as JSON."""

    shape: list[int] = Field(
        description='(rows, columns); (rows) for "diagonal"; further axes for "positions"'
    )
    dtype: str = Field(
        description='"f4" or "f8" ("i8" for classes); every number reads back to the same element of this type'
    )
    data: list[Any] = Field(
        description="nested lists of that shape; null stands for what is not finite"
    )


class ProblemDocument(BaseModel):
    """RFC 9457; further members may stand beside these."""

    type: str = Field(description="what kind of problem it is; the same for all of its kind")
    title: str = Field(description="the same in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what was expected, what came, and what to do")
    pointer: str | None = Field(default=None, description="RFC 6901, into the body")
    parameter: str | None = Field(
        default=None, description="the query parameter or header at fault"
    )
    limit: float | None = Field(default=None, description="the limit that was hit")
    limit_name: str | None = Field(default=None, description="its name in GET /v1/limits")
    actual: float | None = Field(default=None, description="what came")
    request_id: str = Field(description="X-Request-Id of the request; it is in every log line")
