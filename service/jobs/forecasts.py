"""How long a job will take, from what tiles took on these workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from kernels.plan.cost import tile_costs
from service.jobs.blueprint import Blueprint
from service.queue.pace import P90, Kind, Pace, shape_name
from service.queue.roster import Roster
from service.records import KernelRequest
from service.store.records import RecordStore

# Jobs that are looked at to tell how long one takes beside them.
JOBS_BESIDE = 1_000

Basis = Literal["network", "device", "none"]


class Seconds(BaseModel):
    """From the first tile's beginning to the last one's end, compiling included."""

    p50: float = Field(description="seconds that half of such jobs stay below")
    p90: float = Field(description="seconds that nine of ten such jobs stay below")


class Forecast(BaseModel):
    """Seconds of what is missing of a job, and what they rest on."""

    seconds: Seconds | None = None
    alone: Seconds | None = None
    compile_seconds: float | None = None
    basis: Basis = "none"
    slots: int = 0


def beside(others: Sequence[float | None], seconds: float) -> float:
    """When a job of so many seconds ends that takes turns with others.

    others: what is left of each, None where that is not known. While a job runs, each of the others
    gets as much as it, or all that it needs; one that is not known is taken for as long as this one.
    """
    return seconds + sum(seconds if left is None else min(left, seconds) for left in others)


class Forecasts:
    """Forecasts of jobs; one per process, owned by `service.state.open_service`."""

    def __init__(self, records: RecordStore, roster: Roster, pace: Pace) -> None:
        self._records = records
        self._roster = roster
        self._pace = pace

    async def forecast(
        self, tenant: str, request: KernelRequest, drawn: Blueprint,
        missing: Sequence[int],
    ) -> Forecast:  # fmt: skip
        """What the missing tiles (indices) will take on the workers that are alive."""
        cards = await self._roster.alive()
        slots = sum(card.slots for card in cards)
        devices = sorted({card.device_kind for card in cards})
        kinds = [Kind(device, request.dtype, request.method.type) for device in devices]
        known = await self._pace.known(tenant, request.architecture.digest, kinds)
        if known is None:
            return Forecast(slots=slots)
        plan = drawn.plan
        costs = await asyncio.to_thread(
            tile_costs, request.architecture, plan, outputs=request.outputs, dtype=request.dtype,
            method=request.method, positions=bool(request.inputs1.grid),
        )  # fmt: skip
        wanted = [costs[index] for index in missing]
        # No number of workers is faster than the longest tile.
        work = max(sum(wanted) / slots, max(wanted, default=0.0))
        shapes = {
            shape_name(
                request.outputs,
                plan.form,
                plan.groups1[plan.tiles[index].row].grid,
                plan.groups2[plan.tiles[index].col].grid,
            )
            for index in missing
        }
        layers = len(request.architecture.expanded)
        fresh, compiling = len(shapes - known.shapes), 0.0
        if known.compile is not None:
            compiling = known.compile.quantile(0.0) * layers * -(-fresh // slots)
        p50, p90 = (work * known.pace.quantile(z) + compiling for z in (0.0, P90))
        others = await self._records.seconds_left(JOBS_BESIDE)
        return Forecast(
            seconds=Seconds(p50=round(beside(others, p50), 3), p90=round(beside(others, p90), 3)),
            alone=Seconds(p50=round(p50, 3), p90=round(p90, 3)),
            compile_seconds=round(compiling, 3) if known.compile is not None or not fresh else None,
            basis=known.basis,
            slots=slots,
        )
