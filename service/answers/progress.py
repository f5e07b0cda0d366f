"""How far a prediction is, and what it rests on: its public record."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.answers.records import KernelProgress, PredictionRecord
from service.records import JobRecord
from service.store.job_fields import PredictionFields


def record_of(
    fields: PredictionFields, kernels: Mapping[str, JobRecord | None]
) -> PredictionRecord:
    """The record of the stored fields, with what follows from its kernel jobs.

    kernels: by role; None for one that is gone.
    """
    shown: dict[str, Any] = {**fields}
    shown["kernels"] = {
        role: _progress(job_id, kernels[role]) for role, job_id in fields["kernels"].items()
    }
    shown["eta_s"] = _eta(kernels.values())
    if fields["state"] == "succeeded":
        shown["receipt"] = _receipt(fields)
    return PredictionRecord.model_validate(shown)


def _progress(job_id: str, record: JobRecord | None) -> KernelProgress:
    if record is None:
        return KernelProgress(id=job_id, state="expired", tiles_total=0, tiles_done=0)
    return KernelProgress(
        id=job_id,
        state=record.state,
        tiles_total=record.tiles_total,
        tiles_done=record.tiles_done,
    )


def _eta(kernels: Iterable[JobRecord | None]) -> float | None:
    """Seconds to the end of the last kernel job, since they are computed side by side; None where they
    have all ended, or one of them cannot tell."""
    left = [kernel.eta_s for kernel in kernels if kernel is not None and not kernel.ended]
    known = [seconds for seconds in left if seconds is not None]
    return max(known) if known and len(known) == len(left) else None


def _receipt(fields: PredictionFields) -> dict[str, Any]:
    assert "finished_at" in fields, "it has succeeded"
    assert "provenance" in fields, "it has succeeded"
    started, finished = fields.get("started_at", fields["created_at"]), fields["finished_at"]
    return {
        "architecture": fields["architecture"],
        "inputs": fields["inputs"],
        "dtype": fields["dtype"],
        "method": fields["method"],
        "model": fields["model"],
        "task": fields["task"],
        **fields["provenance"],
        "reused": bool(fields["tiles_reused"]),
        "seconds": round(max(0.0, finished - fields["created_at"]), 3),
        "solve_seconds": round(max(0.0, finished - started), 3),
    }
