"""What POST /v1/estimates answers: tiles, bytes and seconds of a job, and whether it would be taken."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field
from redis.asyncio import Redis

from service.errors import OverLimit
from service.jobs.admission import check_request, check_result
from service.jobs.drafts import Draft, Drafts
from service.jobs.forecasts import Basis, Seconds
from service.records import KernelRequest
from service.settings import Settings
from service.store.connection import ceiling
from service.store.holding import check_quota
from service.store.inputs import bookings, packed_size
from service.store.records import RecordStore
from service.store.tiles import TileStore


class Tiles(BaseModel):
    """How much of a job is there already."""

    total: int = Field(description="tiles of the whole result")
    cached: int = Field(description="in the tile store already: they cost nothing")
    to_compute: int = Field(description="total without those cached")
    share_cached: float = Field(description="cached over total, 0 to 1")


class Bytes(BaseModel):
    """What a job keeps."""

    inputs: int = Field(
        description="counted against max_input_bytes, unless stored already; the plan, about 300 bytes"
        " a tile, counts too"
    )
    results: int = Field(
        description="all outputs; at most max_result_bytes, or with an object store"
        " max_stored_result_bytes"
    )


class Refusal(BaseModel):
    """The limit that the job would hit."""

    limit_name: str = Field(description="its name in GET /v1/limits")
    limit: float = Field(description="its value")
    actual: float = Field(description="what the job has")
    detail: str = Field(description="the same in words, and what to do")


class EstimateResource(BaseModel):
    """What the same body would take at POST /v1/kernels."""

    shape: list[int] = Field(description="of each result, as in the job")
    tiles: Tiles = Field(description="how much there is to compute")
    bytes: Bytes = Field(description="what it would keep")
    seconds: Seconds | None = Field(
        description="beside the jobs that are unfinished now, which take turns with it; null when"
        " uncalibrated, or without a worker"
    )
    seconds_alone: Seconds | None = Field(
        description="with all workers on this job alone; null when `seconds` is"
    )
    compile_seconds: float | None = Field(
        description="how much of that is compiling: programs that no worker had for this network"
    )
    uncalibrated: bool = Field(
        description="no tile of this dtype and method has been computed here yet"
    )
    basis: Basis = Field(
        description="measured on this very network, on others on the same kind of device, or not"
    )
    workers: int = Field(description="tiles that are computed at once")
    admitted: bool = Field(description="whether POST /v1/kernels would take it now")
    refusal: Refusal | None = Field(description="why not; null when it is admitted")
    warnings: list[str] = Field(
        description="what is allowed but probably not meant, as the job would have it"
    )


class Estimates:
    """Answers of POST /v1/estimates; one per process, owned by `service.state.open_service`."""

    def __init__(
        self,
        *,
        client: Redis,
        tiles_client: Redis,
        records: RecordStore,
        tiles: TileStore,
        drafts: Drafts,
        settings: Settings,
    ) -> None:
        self._client = client
        self._tiles_client = tiles_client
        self._records = records
        self._tiles = tiles
        self._drafts = drafts
        self._settings = settings

    async def estimate(self, tenant: str, request: KernelRequest) -> EstimateResource:
        """The estimate of a request; nothing is stored.

        Raises OverLimit for more tiles than are named to count those that are cached.
        """
        maximum = await ceiling(self._tiles_client)
        drawn = await self._drafts.blueprint(tenant, request, maximum)
        draft = await self._drafts.look(tenant, request, drawn)
        refusal = await self._refusal(tenant, request, draft, maximum)
        missing, forecast, total = draft.missing, draft.forecast, len(drawn.digests)
        return EstimateResource(
            shape=list(drawn.plan.shape),
            tiles=Tiles(
                total=total,
                cached=total - len(missing),
                to_compute=len(missing),
                share_cached=round(1 - len(missing) / total, 4),
            ),
            bytes=Bytes(
                inputs=sum(map(packed_size, drawn.rows.values())), results=drawn.result_bytes
            ),
            seconds=forecast.seconds,
            seconds_alone=forecast.alone,
            compile_seconds=forecast.compile_seconds,
            uncalibrated=forecast.basis == "none",
            basis=forecast.basis,
            workers=forecast.slots,
            admitted=refusal is None,
            refusal=refusal,
            warnings=list(request.warnings),
        )

    async def _refusal(
        self, tenant: str, request: KernelRequest, draft: Draft, maximum: int | None
    ) -> Refusal | None:
        """Why POST /v1/kernels would say no, by the very checks that it makes; `maximum` is the tile
        store's ceiling in bytes, None without one."""
        drawn, missing = draft.blueprint, draft.missing
        try:
            check_request(request, await self._records.unfinished(tenant), self._settings)
            check_result(drawn, self._settings, maximum)
            stored = await asyncio.to_thread(drawn.stored, request, missing)
            document = (request.architecture.digest, request.architecture.canonical_json())
            sizes = bookings("", document, drawn.rows, stored.nbytes)
            await check_quota(self._client, tenant, sizes, self._settings.max_input_bytes)
            if self._tiles.far is not None and drawn.is_far:
                await self._tiles.far.bytes.check(tenant, drawn.bytes_of(missing))
        except OverLimit as error:
            return Refusal(
                limit_name=error.limit, limit=error.value, actual=error.actual, detail=error.detail
            )
        return None
