"""The fields of the hash `gramd:job:JOB`, and who writes each: values in JSON.

The first writer is `jobs.first_fields` of a kernel job, and `answers.Answers.start` of an answer (with
`answers.predictions` of a prediction); what the Lua of `scripts` changes afterwards is said beside it. Beside
these a kernel job has a field ERROR_ESTIMATE + name for each error that was estimated (FINISH), so that a script
can raise one alone.
"""

import json
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from service.store import keys


class JobFields(TypedDict):
    """Of every job. Moments are seconds since 1970."""

    id: str
    tenant: str
    state: str  # then `run` and `settle`
    queue_task: dict[str, str]  # what its tasks have in common: see `queue.tasks.read_flight`
    created_at: float
    expires_at: float  # then `settle` and `give_up`
    tiles_total: int
    tiles_done: int  # then FINISH, as the next two
    tiles_reused: int
    tiles_computed: int
    started_at: NotRequired[float]  # BEGIN; at once where all is cached, as the next one
    finished_at: NotRequired[float]  # `settle`
    first_tile_at: NotRequired[float]  # FINISH
    provenance: NotRequired[dict[str, Any]]  # FINISH; at once where all is cached
    error: NotRequired[dict[str, Any]]  # `give_up`: a problem document


class KernelFields(JobFields):
    """Of a kernel job."""

    extends: str | None
    architecture: str
    dtype: str
    outputs: list[str]
    form: str
    method: dict[str, Any]
    exactness: str
    shape: list[int]
    n1: int
    n2: int
    symmetric: bool
    reused_at_start: int
    warnings: list[str]
    inputs: dict[str, str]
    expected_s: NotRequired[float]  # where a pace is known, as the next one
    alone_s: NotRequired[float]


class AnswerFields(JobFields):
    """Of diagnostics and previews."""

    result: str
    postponed: NotRequired[int]  # POSTPONE


class OfPrediction(TypedDict):
    """What a prediction has beside `AnswerFields`."""

    architecture: str
    dtype: str
    method: dict[str, Any]
    task: str
    model: dict[str, Any]
    outputs: list[str]
    shapes: Mapping[str, Any]
    labels: Any
    kernels: dict[str, str]  # ids by role; `telling` reads them too
    inputs: dict[str, str]
    warnings: list[str]


class PredictionFields(AnswerFields, OfPrediction):
    """Of a prediction."""


def encoded(fields: Mapping[str, Any]) -> dict[Any, Any]:
    """Fields as they are stored."""
    return {name: json.dumps(value) for name, value in fields.items()}


def decoded(stored: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The fields of a stored hash."""
    return {name.decode(): json.loads(value) for name, value in stored.items()}


def error_fields(errors: Mapping[str, float]) -> dict[str, float]:
    """Errors by name as fields."""
    return {keys.ERROR_ESTIMATE + name: error for name, error in errors.items()}


def errors_in(fields: Mapping[str, Any]) -> dict[str, float]:
    """The errors by name that are among the fields."""
    return {
        name.removeprefix(keys.ERROR_ESTIMATE): error
        for name, error in fields.items()
        if name.startswith(keys.ERROR_ESTIMATE)
    }
