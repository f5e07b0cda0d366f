"""GET /metrics in Prometheus's text format.

Requests are counted by the API process that answers them. Everything else is read from the stores at
the moment it is asked for, so that every API process says the same: `max` over them, never `sum`.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.queue.roster import WorkerCard
from service.queue.tallies import TILE_SECONDS, Work
from service.state import Service

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a cached answer to the longest wait and a large matrix.
REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)

disable_created_metrics()


class RequestMetrics:
    """Counts the requests of this process; routes are templates, so that ids make no new series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "gramd_http_requests", "Requests answered.", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "gramd_http_request_seconds", "Seconds from a request to the last byte of its answer.",
            ("method", "route"), buckets=REQUEST_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._open = Gauge(
            "gramd_http_requests_open", "Requests being answered.", registry=self.registry
        )

    def began(self) -> None:
        """A request came."""
        self._open.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Its answer has been sent; `status` 0 means that there was none to send. Every `method` and
        `route` is a series that stays: only names from a fixed list may come here."""
        self._open.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Snapshot(Collector):
    """Metrics that were read a moment ago."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterator[Metric]:
        """For `generate_latest`."""
        return iter(self._metrics)


async def exposition(service: Service, requests: RequestMetrics) -> bytes:
    """Every metric of the service; a store that does not answer is `gramd_store_up` 0."""
    (queue, work), (tiles, _) = await asyncio.gather(
        _store(service.client, lambda: _work(service)), _store(service.tiles_client, _nothing)
    )
    registry = CollectorRegistry()
    registry.register(Snapshot([*_stores({"queue": queue, "tiles": tiles}), *(work or ())]))
    return generate_latest(requests.registry) + generate_latest(registry)


async def _nothing() -> None:
    return None


async def _store(client: Redis, then: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """INFO of a server and what else it is asked; nothing when it does not answer."""
    try:
        return await client.info(), await then()
    except (RedisError, OSError):
        return {}, None


async def _work(service: Service) -> list[Metric]:
    far = service.tiles.far
    stored = GaugeMetricFamily(
        "gramd_stored_bytes",
        "Results in the object store.",
        0 if far is None else await far.bytes.total(),
    )
    return [
        *_of_workers(await service.roster.alive()),
        *_of_work(await service.tallies.read()),
        stored,
    ]


def _stores(infos: dict[str, dict[str, Any]]) -> Iterator[Metric]:
    up = GaugeMetricFamily("gramd_store_up", "Whether the Redis server answers.", labels=["store"])
    used = GaugeMetricFamily(
        "gramd_store_memory_bytes", "Memory that the Redis server uses.", labels=["store"]
    )
    limit = GaugeMetricFamily(
        "gramd_store_memory_limit_bytes", "Its maxmemory; 0: none.", labels=["store"]
    )
    evicted = CounterMetricFamily(
        "gramd_store_evictions", "Keys evicted since that server started.", labels=["store"]
    )
    for store, info in infos.items():
        up.add_metric([store], 1 if info else 0)
        if info:
            used.add_metric([store], info["used_memory"])
            limit.add_metric([store], info["maxmemory"])
            evicted.add_metric([store], info["evicted_keys"])
    yield from (up, used, limit, evicted)


def _of_workers(cards: list[WorkerCard]) -> Iterator[Metric]:
    count = GaugeMetricFamily("gramd_workers", "Workers seen lately.", labels=["device"])
    slots = GaugeMetricFamily(
        "gramd_worker_slots", "Tiles that they compute at once.", labels=["device"]
    )
    for device in sorted({card.device_kind for card in cards}):
        of_kind = [card.slots for card in cards if card.device_kind == device]
        count.add_metric([device], len(of_kind))
        slots.add_metric([device], sum(of_kind))
    yield from (count, slots)


def _of_work(work: Work) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("gramd_jobs", "Jobs that have not ended.", labels=["state"])
    jobs.add_metric(["queued"], work.queued)
    jobs.add_metric(["running"], work.running)
    ended = CounterMetricFamily("gramd_jobs_ended", "Jobs by how they ended.", labels=["state"])
    for state, count in work.ended.items():
        ended.add_metric([state], count)
    tiles = CounterMetricFamily(
        "gramd_tiles", "Tiles computed, reused (cache, other jobs), given up.", labels=["outcome"]
    )
    for outcome, count in work.tiles.items():
        tiles.add_metric([outcome], count)
    seconds = HistogramMetricFamily("gramd_tile_seconds", "Seconds that computed tiles took.")
    bounds = (*map(str, TILE_SECONDS), "+Inf")
    buckets = list(zip(bounds, map(float, work.tile_seconds), strict=True))
    seconds.add_metric([], buckets, work.tile_seconds_sum)
    yield from (
        jobs,
        CounterMetricFamily("gramd_jobs_created", "Jobs taken.", work.created),
        ended,
        tiles,
        GaugeMetricFamily("gramd_queue_tiles", "Tiles not handed out yet.", work.pending),
        GaugeMetricFamily("gramd_tiles_in_flight", "Tiles handed out.", work.in_flight),
        seconds,
    )
