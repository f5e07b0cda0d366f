"""Drafts of jobs: named, looked up in the tile store and forecast, and nothing of them stored.

A job is a draft that was admitted and is stored (`jobs.py`), an estimate a draft described (`estimates.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kernels.result import ErrorEstimate, largest
from service.jobs import blueprint
from service.jobs.admission import check_plan, is_too_large
from service.jobs.blueprint import Blueprint
from service.jobs.forecasts import Forecast, Forecasts
from service.records import KernelRequest
from service.settings import Settings
from service.store.tenants import Tenants
from service.store.tiles import TileStore


@dataclass(frozen=True)
class Draft:
    """A job as it would be now.

    Attributes:
        blueprint: its plan and the names of its tiles.
        missing: indices of the tiles that are not in the tile store, ascending.
        forecast: how long those will take.
        errors: the largest of each error of the tiles that are there.
    """

    blueprint: Blueprint
    missing: list[int]
    forecast: Forecast
    errors: ErrorEstimate = field(default_factory=ErrorEstimate)

    @cached_property
    def cached(self) -> list[int]:
        """Indices of the tiles that are in the tile store, ascending."""
        return sorted(set(range(len(self.blueprint.digests))) - set(self.missing))


class Drafts:
    """Drafts of all tenants' jobs; one per process, owned by `service.state.open_service`."""

    def __init__(
        self, tiles: TileStore, tenants: Tenants, forecasts: Forecasts, settings: Settings
    ) -> None:
        self._tiles = tiles
        self._tenants = tenants
        self._forecasts = forecasts
        self._settings = settings

    async def blueprint(
        self, tenant: str, request: KernelRequest, maximum: int | None
    ) -> Blueprint:
        """The request's tiles, named; in the object store, if there is one, when a tile store of
        `maximum` bytes cannot keep them. Raises OverLimit for more tiles than are named."""
        plan = await asyncio.to_thread(blueprint.plan_of, request)
        check_plan(plan, self._settings)
        secret = await self._tenants.secret(tenant)
        drawn = await asyncio.to_thread(blueprint.draw, request, plan, secret)
        return drawn.far() if self._settings.results_url and is_too_large(drawn, maximum) else drawn

    async def look(self, tenant: str, request: KernelRequest, drawn: Blueprint) -> Draft:
        """The draft of a job that is not going to be made: nothing is written, nothing lives longer,
        and errors are not looked at."""
        there = await self._tiles.present(tenant, drawn.digests)
        return await self._draft(tenant, request, drawn, there, {})

    async def take(self, tenant: str, request: KernelRequest, drawn: Blueprint) -> Draft:
        """The draft of a job that is going to be made: tiles that are there get their full lifetime
        again."""
        there = await self._tiles.renew(tenant, drawn.digests)
        errors: ErrorEstimate = {}
        if request.method.exactness(request.architecture.exactness) != "exact":
            found = [index for index, is_there in enumerate(there) if is_there]
            metas = await self._tiles.metas(tenant, [drawn.digests[index] for index in found])
            for index, meta in zip(found, metas, strict=True):
                # A tile evicted since is computed again, or its error would be missing.
                there[index] = meta is not None
            errors = largest(meta.get("error_estimate", {}) for meta in metas if meta is not None)
        return await self._draft(tenant, request, drawn, there, errors)

    async def _draft(
        self, tenant: str, request: KernelRequest, drawn: Blueprint, there: Sequence[bool],
        errors: ErrorEstimate,
    ) -> Draft:  # fmt: skip
        missing = [index for index, is_there in enumerate(there) if not is_there]
        forecast = await self._forecasts.forecast(tenant, request, drawn, missing)
        return Draft(drawn, missing, forecast, errors)
