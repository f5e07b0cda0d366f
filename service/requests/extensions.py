"""More rows for a job: its own rows, as they are stored, with new ones behind them.

Full groups of rows depend on nothing but their rows, so the larger job finds all tiles of these in
the cache, and computes those with the new rows, and with old ones that were left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from anyio.to_thread import run_sync

from kernels.architecture import Architecture
from kernels.compatible import check_job
from kernels.inputs import Form, Inputs, joined
from kernels.method import MonteCarlo, parse_method
from kernels.plan.tiles import RowGroup, TilePlan
from service.errors import UnknownJob
from service.http.problems import Gone, InvalidInput, InvalidRequest
from service.http.strict_json import read_json
from service.jobs.admission import check_rows
from service.records import JobRecord, KernelRequest
from service.requests.kernels import (
    MASKS,
    ArraysBody,
    as_body_errors,
    read_architecture,
    read_fields,
    read_side,
)
from service.requests.sources import Source, read_sources
from service.settings import Settings
from service.state import Service
from service.store import keys


class ExtensionBody(ArraysBody):
    """New rows of x1, and of x2 where the job has one."""


async def read_extension(
    service: Service, tenant: str, job_id: str, value: Any, parts: Mapping[str, bytearray]
) -> KernelRequest:
    """The request for the extended matrix; raises InvalidRequest, UnknownJob, OverLimit for a side of
    too many rows, and Gone when what the job was made of has expired."""
    body = read_fields(ExtensionBody, value)
    record = await service.jobs.get(tenant, job_id)
    if record.state == "expired":
        raise _gone()
    arrays = await read_sources(body, MASKS, parts, tenant, service.datasets)
    if not arrays["x1"].given and not arrays["x2"].given:
        raise InvalidRequest("expected new rows: x1, x2 or both", pointer="/x1")
    if record.symmetric and arrays["x2"].given:
        raise InvalidRequest(
            "this is the matrix of x1 with itself: x1 extends both sides; leave x2 out",
            pointer="/x2",
        )
    try:
        layout, _ = await service.records.layout(keys.ref(tenant, job_id))
    except UnknownJob as error:
        raise _gone() from error
    text = await service.inputs.architecture(tenant, layout["architecture"])
    plan = await run_sync(TilePlan.from_json, layout["plan"])
    if text is None:
        raise _gone()
    groups = [(plan.groups1, layout["rows1"])]
    groups += [] if plan.symmetric else [(plan.groups2, layout["rows2"])]
    old = [
        await _stored(service, tenant, side, names, tuple(grid))
        for (side, names), grid in zip(groups, layout["grids"], strict=False)
    ]
    landmarks = None
    if layout["landmarks"]:
        landmarks = await service.inputs.rows(tenant, layout["landmarks"])
        if landmarks is None:
            raise _gone()
    architecture = await run_sync(_parse, text)
    datasets = (*layout["datasets"], *body.datasets)
    return await run_sync(
        _build, record, architecture, old, arrays, landmarks, datasets, service.settings
    )


def _gone() -> Gone:
    return Gone("the rows of this job have expired; POST the whole to /v1/kernels")


def _parse(text: str) -> Architecture:
    return read_architecture(read_json(bytearray(text.encode())))


async def _stored(
    service: Service, tenant: str, groups: tuple[RowGroup, ...], names: list[str],
    grid: tuple[int, ...],
) -> Inputs:  # fmt: skip
    """The rows of one side in the caller's order and on the caller's grid."""
    found: list[Inputs] = []
    for name in names:
        rows = await service.inputs.rows(tenant, name)
        if rows is None:
            raise _gone()
        found.append(rows)
    return await run_sync(_in_order, groups, found, grid)


def _in_order(groups: tuple[RowGroup, ...], found: list[Inputs], grid: tuple[int, ...]) -> Inputs:
    n = sum(map(len, found))
    x = np.zeros((n, *grid, found[0].x.shape[-1]), found[0].x.dtype)
    # What a bucket has cut off is masked.
    mask = np.zeros((n, *grid), np.bool_)
    for group, rows in zip(groups, found, strict=True):
        place = (list(group.rows), *(slice(size) for size in rows.grid))
        x[place] = rows.x
        mask[place] = rows.real
    return Inputs(x, None if mask.all() else mask)


def _build(
    record: JobRecord, architecture: Architecture, old: list[Inputs], arrays: Mapping[str, Source],
    landmarks: Inputs | None, datasets: tuple[str, ...], settings: Settings,
) -> KernelRequest:  # fmt: skip
    method = parse_method(record.method)
    # More masked positions behind a sequence are no news to these networks; landmarks and finite
    # networks belong to the job's own positions.
    inert = (
        architecture.margin() == 0
        and record.form != "positions"
        and not isinstance(method, MonteCarlo)
        and landmarks is None
    )
    with as_body_errors():
        sides = [
            _extended(
                inputs, read_side(number, arrays, record.dtype, settings), f"/x{number}", inert
            )
            for number, inputs in enumerate(old, start=1)
        ]
        for side in sides:
            check_rows(len(side), settings)
        inputs1, inputs2 = sides[0], sides[1] if len(sides) > 1 else None
        form = cast("Form", record.form)
        warnings = check_job(architecture, inputs1, inputs2, form, method)
    return KernelRequest(
        architecture=architecture,
        inputs1=inputs1,
        inputs2=inputs2,
        outputs=record.outputs,
        dtype=record.dtype,
        form=form,
        method=method,
        warnings=tuple(warnings),
        datasets=datasets,
        landmarks=landmarks,
        extends=record.id,
    )


def _extended(old: Inputs, new: Inputs | None, pointer: str, inert: bool) -> Inputs:
    """Old rows with new ones behind them; sequences of other lengths where padding is `inert`."""
    if new is None:
        return old
    if inert and len(old.grid) == len(new.grid) == 1 and old.grid != new.grid:
        longer = max(old.grid, new.grid)
        old, new = old.padded(longer), new.padded(longer)
    if new.x.shape[1:] != old.x.shape[1:]:
        raise InvalidInput(
            f"expected new rows of shape {list(old.x.shape[1:])}, as the job's, got"
            f" {list(new.x.shape[1:])}; pad and mask them alike, or POST the whole to /v1/kernels",
            pointer=pointer,
        )
    return joined([old, new])
