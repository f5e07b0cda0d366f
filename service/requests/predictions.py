"""From the body of POST /v1/predictions to a validated PredictionRequest.

Arrays come as those of POST /v1/kernels do, under other names: x_train, y_train, x_test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field

from kernels.architecture import Architecture
from kernels.compatible import check_job
from kernels.inputs import Inputs, read_inputs
from kernels.method import EXACT, Additive, Exact, MonteCarlo
from kernels.plan.landmarks import choose_landmarks
from kernels.predict.model import GaussianProcess, GradientFlow, KernelRidge, LeaveOneOut
from kernels.predict.targets import Task, read_targets
from service.answers.admission import check_training_rows
from service.answers.records import Output, PredictionRequest
from service.http.problems import InvalidRequest
from service.jobs.admission import check_rows
from service.requests.kernels import as_body_errors, read_architecture, read_fields
from service.requests.sources import Array, DatasetReference, Source, array_source, read_sources
from service.settings import Settings
from service.store.datasets import DatasetStore

MASKS = {"x_train": "mask_train", "x_test": "mask_test"}
PARTS = ("request", "x_train", "y_train", "x_test", "mask_train", "mask_test")
# Where the body has what kernels call x1 and x2.
PLACES = {"/x1": "/x_train", "/mask1": "/mask_train", "/x2": "/x_test", "/mask2": "/mask_test"}


class PredictionBody(BaseModel):
    """What to predict: the outputs for x_test of infinitely wide networks that learnt y_train."""

    model_config = ConfigDict(extra="forbid", strict=True)

    architecture: dict[str, Any] = Field(
        description='the network, {"layers": [...]}; GET /v1/layers has the vocabulary'
    )
    x_train: Array | None = Field(
        default=None,
        description=(
            "inputs (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C): nested lists, a dataset, or"
            " absent when it comes as a part; at most max_prediction_rows of GET /v1/limits"
        ),
    )
    y_train: Array | None = Field(
        default=None,
        description=(
            "targets (n) or (n, outputs); for classification (n), whole numbers that name the"
            " classes"
        ),
    )
    x_test: Array | None = Field(default=None, description="inputs (m, ...) to predict for")
    mask_train: list[Any] | None = Field(
        default=None,
        description="true where a position of x_train is real: (n, T), (n, H, W) or (n, D, H, W)",
    )
    mask_test: list[Any] | None = Field(default=None, description="the same for x_test")
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="of the kernels; all that follows is float64"
    )
    method: Exact | Additive | MonteCarlo = Field(
        default=EXACT,
        discriminator="type",
        description="how the kernels are computed, as in POST /v1/kernels",
    )
    model: GaussianProcess | GradientFlow | KernelRidge = Field(
        default=GaussianProcess(),
        discriminator="type",
        description=(
            '"gaussian_process", the posterior; "gradient_flow", the ensemble of networks trained'
            ' until `time` or "infinity"; "kernel_ridge", a mean alone. `diag_reg` is what is added'
            ' to the diagonal: "absolute", "relative" to its mean, or "loo", chosen by closed-form'
            " leave-one-out; `output_scale` multiplies the covariance of a Gaussian process"
        ),
    )
    task: Task = Field(
        default="regression",
        description=(
            '"classification": one-hot targets, centred (1 - 1/C and -1/C), one mean a class, and'
            " the class with the largest"
        ),
    )
    outputs: list[Output] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description=(
            'any of "mean" (m) or (m, outputs), "variance" (m), "covariance" (m, m) (one for all'
            " outputs, of the function without the noise of a target) and, for classification,"
            ' "classes" (m); left out, the mean, and the classes of a classification'
        ),
    )


async def read_prediction_request(
    value: Any,
    parts: Mapping[str, bytearray],
    tenant: str,
    datasets: DatasetStore,
    settings: Settings,
) -> PredictionRequest:
    """The request that a JSON value and the .npy parts beside it make; raises InvalidRequest, and
    OverLimit for too many rows."""
    body = read_fields(PredictionBody, value)
    outputs = _outputs(body)
    _check_search(body)
    architecture = read_architecture(body.architecture)
    arrays = await read_sources(body, MASKS, parts, tenant, datasets)
    arrays["y_train"], stored = await array_source("y_train", body.y_train, parts, tenant, datasets)
    if stored is not None:
        raise InvalidRequest("targets have no mask; leave those rows out", pointer="/y_train")
    for name in ("x_train", "y_train", "x_test"):
        if not arrays[name].given:
            raise InvalidRequest(
                f'{name} is missing: send nested lists, {{"dataset": id}} or a multipart part {name}'
                " that is a .npy file",
                pointer=f"/{name}",
            )
    return await run_sync(_build, body, outputs, architecture, arrays, settings)


def _outputs(body: PredictionBody) -> tuple[Output, ...]:
    if body.outputs is None:
        return ("mean", "classes") if body.task == "classification" else ("mean",)
    if len(set(body.outputs)) != len(body.outputs):
        raise InvalidRequest("every output is named once", pointer="/outputs")
    for place, output in enumerate(body.outputs):
        if output == "classes" and body.task == "regression":
            raise InvalidRequest(
                'regression has no classes; say "task": "classification"',
                pointer=f"/outputs/{place}",
            )
        if output in ("variance", "covariance") and isinstance(body.model, KernelRidge):
            raise InvalidRequest(
                f"kernel_ridge gives a mean and no {output}; gaussian_process with the same kernel"
                " has the same mean",
                pointer=f"/outputs/{place}",
            )
    return tuple(body.outputs)


def _check_search(body: PredictionBody) -> None:
    """Leave-one-out scores are of what the model predicts."""
    asked = body.model.diag_reg
    if not isinstance(asked, LeaveOneOut):
        return
    if asked.criterion == "log_density" and not isinstance(body.model, GaussianProcess):
        raise InvalidRequest(
            f"{body.model.type} has no predictive density; choose by mse",
            pointer="/model/diag_reg/criterion",
        )
    if isinstance(body.model, GradientFlow) and body.model.time != "infinity":
        raise InvalidRequest(
            "the closed form of leave-one-out is of the end of the flow: ask for time infinity, or"
            " give diag_reg a value",
            pointer="/model/diag_reg",
        )


def _build(
    body: PredictionBody,
    outputs: tuple[Output, ...],
    architecture: Architecture,
    arrays: Mapping[str, Source],
    settings: Settings,
) -> PredictionRequest:
    """The heavy part, run in a thread: arrays read, cast and checked."""
    y = arrays["y_train"].read("y_train")
    with as_body_errors(PLACES):
        train = _side(arrays, "train", "x1", body.dtype)
        # Before the targets of a classification, of which there are rows times classes.
        check_training_rows(len(train), settings)
        test = _side(arrays, "test", "x2", body.dtype)
        check_rows(len(test), settings)
        assert y is not None, "checked by read_prediction_request"
        targets = read_targets(y, body.task, len(train), "/y_train")
        # Of both sides, so that it finds whatever is wrong with either.
        warnings = check_job(architecture, train, test, "matrix", body.method)
        _check_landmarks(architecture, train, test, body)
    return PredictionRequest(
        architecture=architecture,
        train=train,
        test=test,
        targets=targets,
        task=body.task,
        model=body.model,
        method=body.method,
        dtype=body.dtype,
        outputs=outputs,
        warnings=tuple(warnings),
        datasets=tuple(
            given.dataset
            for given in (body.x_train, body.y_train, body.x_test)
            if isinstance(given, DatasetReference)
        ),
    )


def _side(arrays: Mapping[str, Source], side: str, name: str, dtype: str) -> Inputs:
    x, mask = arrays[f"x_{side}"].read(f"x_{side}"), arrays[f"mask_{side}"].read(f"mask_{side}")
    assert x is not None, "checked by read_prediction_request"
    return read_inputs(x, mask, dtype=dtype, name=name)


def _check_landmarks(
    architecture: Architecture, train: Inputs, test: Inputs, body: PredictionBody
) -> None:
    """Landmarks are chosen among the training inputs, on whose positions they lie."""
    longer = any(own > known for own, known in zip(test.grid, train.grid, strict=True))
    if longer and choose_landmarks(architecture, train, None, body.method) is not None:
        raise InvalidRequest(
            f"the training inputs have positions {list(train.grid)} and the test inputs"
            f" {list(test.grid)}; with this network those of the test inputs must fit: pad x_train"
            " and send a mask",
            pointer="/x_train",
        )
