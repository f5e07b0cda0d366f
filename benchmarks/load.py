"""How long answers take when many ask at once: one JSON line a route, on loopback.

    make bench-load ARGS="--clients 200 --requests 2000"

- route: `--clients` clients, each with one request under way at a time, send `--requests` requests to
  one route; p50 and p99 of the answers' times, and how many came with which status. A route is left
  after `--seconds`.
- beside: how long a small job takes from POST to its finished resource, alone and beside a job of
  many tiles.

The clients are one process on the same machine, so their own work is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.service import LAYERS, Running, inputs, running

DENSE: Final = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
HUGE_ROWS: Final = 1024
_numbers: Final = count()

Send = Callable[[httpx.AsyncClient], Any]


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


async def load(url: str, route: Route, clients: int, requests: int, seconds: float) -> Any:
    """The times of one route's answers, under `clients` clients."""
    times: list[float] = []
    answers = Counter[str]()
    left = iter(range(requests))
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        began = perf_counter()

        async def one() -> None:
            for _ in left:
                sent = perf_counter()
                if sent > began + seconds:
                    return
                answer = await route.send(client)
                times.append(perf_counter() - sent)
                answers[str(answer.status_code)] += 1

        await asyncio.gather(*(one() for _ in range(clients)))
        took = perf_counter() - began
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "route": route.name,
        "clients": clients,
        "requests": len(times),
        "per_second": round(len(times) / took),
        "p50_ms": round(1e3 * p50, 1),
        "p99_ms": round(1e3 * p99, 1),
        "answers": dict(answers),
    }


def beside(service: Running, url: str, rounds: int) -> dict[str, Any]:
    """A small job alone, and while workers are at a huge one."""

    def latency(client: httpx.Client) -> float:
        started = perf_counter()
        answer = client.post("/v1/kernels", json=small(), headers={"Prefer": "wait=60"})
        assert answer.json()["state"] == "succeeded", answer.text
        return 1e3 * (perf_counter() - started)

    with httpx.Client(base_url=url, timeout=120) as client:
        alone = [latency(client) for _ in range(rounds)]
        service.client.kernel({"layers": LAYERS}, inputs(8))  # its code is compiled, and then:
        huge = service.client.kernels.submit({"layers": LAYERS}, inputs(HUGE_ROWS))
        while not client.get(f"/v1/kernels/{huge.id}").json()["tiles_done"]:
            pass
        crowded = [latency(client) for _ in range(rounds)]
        record = client.get(f"/v1/kernels/{huge.id}").json()
        client.patch(f"/v1/kernels/{huge.id}", json={"state": "cancelled"})
    return {
        "question": "beside",
        "alone_p50_ms": round(float(np.percentile(alone, 50)), 1),
        "alone_p99_ms": round(float(np.percentile(alone, 99)), 1),
        "beside_p50_ms": round(float(np.percentile(crowded, 50)), 1),
        "beside_p99_ms": round(float(np.percentile(crowded, 99)), 1),
        "huge_job": f"{record['tiles_done']} of {record['tiles_total']} tiles, {record['state']}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of each route under many clients.")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2000, help="of each route (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each route (%(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="small jobs (%(default)s)")
    options = parser.parse_args()
    # What is measured is the service, not its limits on one tenant.
    limits = {"GRAMD_MAX_REQUESTS_PER_S": "1000000", "GRAMD_MAX_REQUEST_BURST": "1000000"}
    limits["GRAMD_MAX_UNFINISHED_JOBS"] = "1000000"
    cores = [None] * len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), cores, **limits) as service:
        url = service.client._connection.url
        for route in routes(url):
            line = asyncio.run(load(url, route, options.clients, options.requests, options.seconds))
            print(json.dumps(line), flush=True)
        print(json.dumps(beside(service, url, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
