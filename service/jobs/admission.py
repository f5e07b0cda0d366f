"""Whether a job is taken: every limit on what one job may be, each named when it is passed."""

import math

from kernels.method import MonteCarlo
from kernels.plan.tiles import TilePlan
from service.errors import OverLimit, TooMany, TooMuch
from service.jobs.blueprint import Blueprint
from service.records import KernelRequest
from service.settings import Settings
from service.store.tiles import MAX_TILE_BYTES

# The share of the tile store that one result may take: some room must stay for the others.
RESULT_SHARE = 0.8


def result_ceiling(maximum: int) -> int:
    """The bytes that one result may take of a tile store of `maximum` bytes."""
    return math.floor(RESULT_SHARE * maximum)


def is_too_large(drawn: Blueprint, maximum: int | None) -> bool:
    """Whether the results are more than the tile store, whose ceiling is `maximum`, can keep."""
    return maximum is not None and drawn.result_bytes > result_ceiling(maximum)


def check_rows(rows: int, settings: Settings) -> None:
    """What can be seen of one side before anything looks at row after row; raises OverLimit."""
    if rows > settings.max_rows:
        raise TooMuch(
            "max_rows", settings.max_rows, rows,
            f"one side of the matrix has {rows} rows, {settings.max_rows} are allowed",
        )  # fmt: skip


def check_request(request: KernelRequest, unfinished: int, settings: Settings) -> None:
    """What can be seen before anything is planned; the tenant has `unfinished` jobs.

    Raises OverLimit.
    """
    for side in (request.inputs1, request.inputs2):
        check_rows(0 if side is None else len(side), settings)
    if isinstance(request.method, MonteCarlo):
        work = request.method.width * request.method.heads * request.method.samples
        if work > settings.max_monte_carlo_work:
            raise TooMuch(
                "max_monte_carlo_work", settings.max_monte_carlo_work, work,
                f"width * heads * samples of the method is {work}, "
                f"{settings.max_monte_carlo_work} is allowed",
            )  # fmt: skip
    if unfinished >= settings.max_unfinished_jobs:
        raise TooMany(
            "max_unfinished_jobs", settings.max_unfinished_jobs, unfinished + 1,
            f"{unfinished} jobs of this tenant are unfinished, no more are taken; try again later",
        )  # fmt: skip


def check_plan(plan: TilePlan, settings: Settings) -> None:
    """What the plan shows before any of its tiles has a name; raises OverLimit."""
    tiles = len(plan.tiles)
    if tiles > settings.max_tiles:
        raise TooMuch(
            "max_tiles", settings.max_tiles, tiles,
            f"the job would have {tiles} tiles, "
            f"{settings.max_tiles} are allowed; ask for fewer rows at a time",
        )  # fmt: skip


def check_result(drawn: Blueprint, settings: Settings, maximum: int | None) -> None:
    """What the results take; `maximum` is the tile store's ceiling in bytes, None without one.

    Raises OverLimit.
    """
    if drawn.tile_bytes > MAX_TILE_BYTES:
        raise TooMuch(
            "max_tile_bytes", MAX_TILE_BYTES, drawn.tile_bytes,
            f"the kernel of a single pair of inputs takes {drawn.tile_bytes} bytes, and "
            f"{MAX_TILE_BYTES} are allowed; shorten the inputs, pool or stride, or ask for float32",
        )  # fmt: skip
    if not is_too_large(drawn, maximum):
        return
    if not settings.results_url:
        allowed = result_ceiling(maximum or 0)
        raise OverLimit(
            "max_result_bytes", allowed, drawn.result_bytes,
            f"the results take {drawn.result_bytes} bytes and the tile store can keep "
            f"{allowed} for one job; ask for one output, float32, or fewer rows at a time; an "
            "operator can name an object store for larger ones (GRAMD_RESULTS_URL)",
        )  # fmt: skip
    if drawn.result_bytes > settings.max_stored_result_bytes:
        raise OverLimit(
            "max_stored_result_bytes", settings.max_stored_result_bytes, drawn.result_bytes,
            f"the results take {drawn.result_bytes} bytes and "
            f"{settings.max_stored_result_bytes} are allowed; ask for fewer rows at a time",
        )  # fmt: skip
