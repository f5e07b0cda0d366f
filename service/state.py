"""Everything a process of the service opens at its start and closes at its end."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.access.api_keys import ApiKeys
from service.access.path_tokens import PathTokens
from service.access.quotas import Quotas
from service.answers.answers import Answers
from service.answers.examinations import Examinations
from service.answers.predictions import Predictions
from service.http.idempotency import Idempotency
from service.jobs.admission import result_ceiling
from service.jobs.drafts import Drafts
from service.jobs.estimates import Estimates
from service.jobs.events import Events, open_events
from service.jobs.forecasts import Forecasts
from service.jobs.jobs import Jobs
from service.jobs.lifetimes import Lifetimes
from service.logs import get_logger
from service.queue.dispatch import Dispatch
from service.queue.docket import Queue, open_queue
from service.queue.pace import Pace
from service.queue.roster import Roster
from service.queue.tallies import Tallies
from service.settings import Settings
from service.store import keys
from service.store.answers import AnswerStore
from service.store.arrays import ArrayStore
from service.store.cached_tiles import CachedTiles
from service.store.connection import ceiling, connect, connect_for_threads, policy_problem
from service.store.datasets import DatasetStore
from service.store.far_bytes import FarBytes
from service.store.far_tiles import FarTiles, open_object_store
from service.store.inputs import InputStore
from service.store.records import RecordStore
from service.store.tenants import Tenants
from service.store.tiles import MAX_TILE_BYTES, TileStore
from service.store.uploads import UploadStore

log = get_logger(__name__)

KEEPS = ("noeviction",)
# Any of these throws out what was not used lately, and only ever tiles live there.
FORGETS = ("allkeys-lru", "volatile-lru", "allkeys-lfu", "volatile-lfu")


@dataclass(frozen=True)
class Service:
    """The open parts of the service, shared by the API's routes and by a worker."""

    settings: Settings
    client: Redis
    tiles_client: Redis
    api_keys: ApiKeys
    quotas: Quotas
    tallies: Tallies
    tiles: TileStore
    inputs: InputStore
    datasets: DatasetStore
    uploads: UploadStore
    idempotency: Idempotency
    records: RecordStore
    lifetimes: Lifetimes
    roster: Roster
    pace: Pace
    estimates: Estimates
    queue: Queue
    dispatch: Dispatch
    events: Events
    jobs: Jobs
    path_tokens: PathTokens
    predictions: Predictions
    examinations: Examinations

    async def store_problems(self) -> list[str]:
        """What is wrong with the two stores; empty when both can be used."""
        found = [
            await policy_problem(self.client, "the queue's Redis (REDIS_URL)", KEEPS),
            await policy_problem(self.tiles_client, "the tiles' Redis (TILES_URL)", FORGETS),
        ]
        return [problem for problem in found if problem is not None]

    async def limits(self) -> dict[str, int | float]:
        """Every limit in force: those of the settings, and those of the stores as they are."""
        stores: dict[str, int | float] = {}
        if (queue := await ceiling(self.client)) is not None:
            stores["queue_store_bytes"] = queue
        if (tiles := await ceiling(self.tiles_client)) is not None:
            stores["max_result_bytes"] = result_ceiling(tiles)
        if self.settings.results_url:
            stores["max_stored_result_bytes"] = self.settings.max_stored_result_bytes
            stores["max_stored_bytes"] = self.settings.max_stored_bytes
        return self.settings.limits() | stores | {"max_tile_bytes": MAX_TILE_BYTES}

    async def readiness(self) -> list[str]:
        """Why no job could be computed right now; empty when the service is ready."""
        problems = await self.store_problems()
        if problems:
            return problems
        try:
            workers = await self.roster.alive()
            if await ceiling(self.tiles_client) is None:
                problems.append("the tiles' Redis (TILES_URL) has no maxmemory: set a ceiling")
        except (RedisError, OSError) as error:
            log.warning("a store cannot be reached", reason=str(error))
            return ["a store cannot be reached"]
        if not workers:
            problems.append("no worker has been seen in the last seconds")
        return problems


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncGenerator[Service, None]:
    """Open every connection; they are closed when the block ends. Raises StartError without URLs."""
    redis_url, tiles_url = settings.require_stores()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(redis_url))
        tiles_client = await stack.enter_async_context(connect(tiles_url))
        queue = await stack.enter_async_context(open_queue(redis_url, settings.lease))
        tenants = Tenants(client)
        quota = settings.max_input_bytes
        inputs = InputStore(client, settings.job_ttl, quota)
        far = None
        if settings.results_url:
            stored = FarBytes(client, settings.max_stored_bytes, settings.job_ttl)
            store = open_object_store(settings.results_url)
            far = FarTiles(store, client, settings.tile_ttl, stored)
        readers = stack.enter_context(connect_for_threads(tiles_url))
        tiles = TileStore(CachedTiles(tiles_client, readers, settings.tile_ttl), far)
        records = RecordStore(client, settings.job_ttl)
        roster = Roster(client)
        events = await stack.enter_async_context(open_events(client, records))
        pace = Pace(client, keys.PACE)
        drafts = Drafts(tiles, tenants, Forecasts(records, roster, pace), settings)
        dispatch = Dispatch(client, queue, roster, settings.job_ttl)
        datasets = DatasetStore(client, tiles, tenants, settings.dataset_ttl, quota)
        lifetimes = Lifetimes(client, records, inputs, settings.job_ttl)
        jobs = Jobs(
            tiles_client=tiles_client, client=client, records=records, inputs=inputs,
            datasets=datasets, tiles=tiles, drafts=drafts, dispatch=dispatch, events=events,
            lifetimes=lifetimes, settings=settings,
        )  # fmt: skip
        arrays = ArrayStore(tiles)
        answers = Answers(
            client=client, store=AnswerStore(client, settings.job_ttl), records=records,
            arrays=arrays, dispatch=dispatch, events=events, lifetimes=lifetimes,
            settings=settings,
        )  # fmt: skip
        yield Service(
            settings=settings,
            client=client,
            tiles_client=tiles_client,
            api_keys=ApiKeys(client),
            quotas=Quotas(client, settings),
            tallies=Tallies(client),
            tiles=tiles,
            inputs=inputs,
            datasets=datasets,
            uploads=UploadStore(client, datasets, settings.upload_ttl, quota),
            idempotency=Idempotency(client, quota),
            records=records,
            lifetimes=lifetimes,
            roster=roster,
            path_tokens=PathTokens(client),
            pace=pace,
            estimates=Estimates(
                client=client, tiles_client=tiles_client, records=records, tiles=tiles,
                drafts=drafts, settings=settings,
            ),
            queue=queue,
            dispatch=dispatch,
            events=events,
            jobs=jobs,
            predictions=Predictions(
                answers=answers, arrays=arrays, jobs=jobs, inputs=inputs, tenants=tenants,
                settings=settings, tiles_client=tiles_client, client=client,
            ),
            examinations=Examinations(client, answers, jobs, tenants, tiles, settings.job_ttl),
        )  # fmt: skip
