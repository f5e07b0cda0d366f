"""The limits of a prediction, each named when it is passed, before anything is computed."""

from math import prod

from kernels.method import MonteCarlo
from service.answers.records import PredictionRequest
from service.errors import OverLimit, TooMuch
from service.jobs.admission import result_ceiling
from service.settings import Settings


def shapes_of(request: PredictionRequest) -> dict[str, tuple[int, ...]]:
    """The shape of each output."""
    rows, columns = len(request.test), request.targets.values.shape[1]
    shapes = {
        "mean": (rows,) if request.targets.flat else (rows, columns),
        "variance": (rows,),
        "covariance": (rows, rows),
        "classes": (rows,),
    }
    return {name: shapes[name] for name in request.outputs}


def check_training_rows(rows: int, settings: Settings) -> None:
    """What can be seen before targets are made of labels; raises OverLimit."""
    _check_rows(rows, settings.max_prediction_rows, "training rows")


def check_prediction(request: PredictionRequest, settings: Settings, maximum: int | None) -> None:
    """What one worker can hold; `maximum` is the tile store's ceiling in bytes, None without one.

    Raises OverLimit.
    """
    limit = settings.max_prediction_rows
    check_training_rows(len(request.train), settings)
    if "covariance" in request.outputs or (
        request.spread and isinstance(request.method, MonteCarlo)
    ):
        what = "test rows, whose kernel is wanted as a whole matrix"
        _check_rows(len(request.test), limit, f"{what}: ask for fewer, or leave the covariance out")
    shapes = shapes_of(request)
    # Computed whether or not the mean is among the outputs.
    entries = request.targets.values.shape[1] * len(request.test)
    if entries > limit**2:
        raise TooMuch(
            "max_prediction_rows", limit, entries,
            f"test rows times outputs is {entries}, and the square of max_prediction_rows, "
            f"{limit**2}, is allowed; ask for fewer test rows at a time",
        )  # fmt: skip
    needed = 8 * sum(prod(shape) for shape in shapes.values())
    if maximum is not None and needed > (allowed := result_ceiling(maximum)):
        raise OverLimit(
            "max_result_bytes", allowed, needed,
            f"the predictions take {needed} bytes and the tile store can keep {allowed} for one "
            "job; ask for fewer test rows at a time, or leave the covariance out",
        )  # fmt: skip


def _check_rows(rows: int, limit: int, what: str) -> None:
    if rows > limit:
        raise TooMuch(
            "max_prediction_rows", limit, rows,
            f"{rows} {what}; {limit} are allowed, because their matrix is factorised in the memory "
            "of one worker",
        )  # fmt: skip
