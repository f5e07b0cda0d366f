"""How the service behaves when many ask at once: one JSON line a route, on loopback.

    make bench-load ARGS="--clients 200 --requests 1000"

- route: `--clients` clients, each with one request under way at a time, send `--requests` requests to
  one route; p50 and p99 of the answers' times, and how many came with which status. A route is left
  after `--seconds`. The limits on one tenant are lifted: this is about the service.
- beside: how long a small job takes from POST to its finished resource, alone and beside a job of
  many tiles.
- overload: with limits low enough to be hit within seconds (LOWERED), the same clients make jobs as fast
  as they are answered, for `--seconds`: how many are taken, how many are refused and how soon, what
  who asks /readyz meanwhile notices, and how long it takes until all jobs taken have ended.

The clients are one process on the same machine, so their own work is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.service import LAYERS, Running, inputs, running

DENSE: Final = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
HUGE_ROWS: Final = 1024
LIFTED: Final = {
    "GRAMD_MAX_REQUESTS_PER_S": "1000000",
    "GRAMD_MAX_REQUEST_BURST": "1000000",
    "GRAMD_MAX_UNFINISHED_JOBS": "1000000",
}
LOWERED: Final = {
    "GRAMD_MAX_REQUESTS_PER_S": "100",
    "GRAMD_MAX_REQUEST_BURST": "200",
    "GRAMD_MAX_UNFINISHED_JOBS": "50",
}
DRAIN_SECONDS: Final = 120
_UNFINISHED: Final = re.compile(r"^gramd_jobs\{.*\} (\S+)$", re.MULTILINE)
_numbers: Final = count()

Send = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Route:
    """A route by its name in the documents, and one request to it."""

    name: str
    send: Send


def small() -> dict[str, Any]:
    """A kernel of two inputs that was not asked for before."""
    return {"architecture": DENSE, "x1": [[1.0, float(next(_numbers))], [0.5, 1.0]]}


def routes(url: str) -> Iterator[Route]:
    """Reads, checks and jobs; the jobs that reads are about are made first."""
    with httpx.Client(base_url=url, timeout=120) as client:
        wait = {"Prefer": "wait=60"}
        job = client.post("/v1/kernels", json=small(), headers=wait).raise_for_status().json()
    for path in (
        "/healthz", "/v1/limits", "/v1/layers", "/v1/kernels",
        job["links"]["self"], job["links"]["nngp"],
    ):  # fmt: skip
        name = httpx.URL(path).path.replace(job["id"], "{job_id}")
        yield Route(f"GET {name}", lambda client, path=path: client.get(path))
    yield Route(
        "POST /v1/architectures",
        lambda client: client.post(
            "/v1/architectures", json={"architecture": DENSE, "input_shape": [8]}
        ),
    )
    yield Route("POST /v1/kernels", lambda client: client.post("/v1/kernels", json=small()))
    yield Route(
        "POST /v1/kernels, Prefer: wait=60",
        lambda client: client.post("/v1/kernels", json=small(), headers={"Prefer": "wait=60"}),
    )


def drained(url: str) -> float:
    """Seconds until no job is unfinished."""
    started = perf_counter()
    while sum(map(float, _UNFINISHED.findall(httpx.get(f"{url}/metrics").text))):
        if perf_counter() > started + DRAIN_SECONDS:
            raise SystemExit(f"jobs are unfinished {DRAIN_SECONDS} s after the last was made")
        sleep(0.05)
    return perf_counter() - started


class Load:
    """What many clients got from one route."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.refusals_without_a_time = 0

    async def run(self, url: str, send: Send, clients: int, requests: int, seconds: float) -> float:
        """Send until so many requests or seconds are over; returns how long it took."""
        left = iter(range(requests))
        trust = httpx.create_ssl_context()  # made once, and not for every client
        began = perf_counter()

        async def one() -> None:
            # One connection each: a pool that many share is slower than what is measured here.
            async with httpx.AsyncClient(base_url=url, timeout=120, verify=trust) as client:
                for _ in left:
                    sent = perf_counter()
                    if sent > began + seconds:
                        return
                    answer = await send(client)
                    status = str(answer.status_code)
                    self.times.setdefault(status, []).append(perf_counter() - sent)
                    if status in ("429", "503") and "retry-after" not in answer.headers:
                        self.refusals_without_a_time += 1

        await asyncio.gather(*(one() for _ in range(clients)))
        return perf_counter() - began

    def answers(self) -> dict[str, int]:
        """How many answers had which status."""
        return {status: len(times) for status, times in sorted(self.times.items())}

    def all_times(self) -> list[float]:
        """Of all answers, in seconds."""
        return [time for times in self.times.values() for time in times]


def milliseconds(times: list[float], name: str = "") -> dict[str, float]:
    """The median and the 99th percentile."""
    p50, p99 = np.percentile(times, [50, 99])
    return {f"{name}p50_ms": round(1e3 * p50, 1), f"{name}p99_ms": round(1e3 * p99, 1)}


async def load(url: str, route: Route, clients: int, requests: int, seconds: float) -> Any:
    """The times of one route's answers, under `clients` clients."""
    found = Load()
    took = await found.run(url, route.send, clients, requests, seconds)
    times = found.all_times()
    return {
        "route": route.name,
        "clients": clients,
        "requests": len(times),
        "per_second": round(len(times) / took),
        **milliseconds(times),
        "answers": found.answers(),
    }


async def overload(url: str, clients: int, seconds: float) -> dict[str, Any]:
    """More jobs than the limits allow."""
    posts, reads = Load(), Load()
    took, _ = await asyncio.gather(
        posts.run(url, lambda client: client.post("/v1/kernels", json=small()), clients, 10**9, seconds),
        reads.run(url, lambda client: client.get("/readyz"), 1, 10**9, seconds),
    )  # fmt: skip
    taken = posts.times.get("202", [])
    refused = [time for status, times in posts.times.items() if status != "202" for time in times]
    return {
        "question": "overload",
        "clients": clients,
        "answers": posts.answers(),
        "per_second": round(len(posts.all_times()) / took),
        **(milliseconds(taken, "taken_") if taken else {}),
        **(milliseconds(refused, "refused_") if refused else {}),
        "refusals_without_retry_after": posts.refusals_without_a_time,
        **milliseconds(reads.all_times(), "readyz_"),
        "readyz_answers": reads.answers(),
        "seconds_until_all_had_ended": round(drained(url), 1),
    }


def beside(service: Running, rounds: int) -> dict[str, Any]:
    """A small job alone, and while workers are at a huge one."""

    def latency(client: httpx.Client) -> float:
        started = perf_counter()
        answer = client.post("/v1/kernels", json=small(), headers={"Prefer": "wait=60"})
        assert answer.json()["state"] == "succeeded", answer.text
        return perf_counter() - started

    with httpx.Client(base_url=service.url, timeout=120) as client:
        alone = [latency(client) for _ in range(rounds)]
        service.client.kernel({"layers": LAYERS}, inputs(8))  # its code is compiled, and then:
        huge = service.client.kernels.submit({"layers": LAYERS}, inputs(HUGE_ROWS))
        while not client.get(f"/v1/kernels/{huge.id}").json()["tiles_done"]:
            sleep(0.02)
        crowded = [latency(client) for _ in range(rounds)]
        record = client.get(f"/v1/kernels/{huge.id}").json()
        client.patch(f"/v1/kernels/{huge.id}", json={"state": "cancelled"})
    return {
        "question": "beside",
        **milliseconds(alone, "alone_"),
        **milliseconds(crowded, "beside_"),
        "huge_job": f"{record['tiles_done']} of {record['tiles_total']} tiles, {record['state']}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of each route under many clients.")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=1000, help="of each route (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of each route (%(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="small jobs (%(default)s)")
    options = parser.parse_args()

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    cores = sorted(os.sched_getaffinity(0))
    limits = (options.clients, options.requests, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder) / "lifted", cores, LIFTED) as service:
            for route in routes(service.url):
                say(asyncio.run(load(service.url, route, *limits)))
                drained(service.url)
            say(beside(service, options.rounds))
        with running(Path(folder) / "lowered", cores, LOWERED) as service:
            say(asyncio.run(overload(service.url, options.clients, options.seconds)))


if __name__ == "__main__":
    main()
