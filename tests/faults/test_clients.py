"""Clients that vanish: in mid-body, while they wait, in mid-matrix; nobody else notices."""

import socket
from urllib.parse import urlsplit

from tests.faults.conftest import Serve
from tests.faults.running import PATIENCE_S, Job
from tests.service.room.serving import until

CLIENTS = 40


def test_clients_that_vanish_leave_nothing_behind(serve: Serve) -> None:
    running = serve()
    job = Job(running)
    job.begun()
    head = "HTTP/1.1\r\nHost: gramd\r\nContent-Type: application/json\r\n"
    waiting = '{"architecture": {"layers": [{"type": "dense"}]}, "x1": [[1.0]]}'
    requests = [
        f"POST /v1/kernels {head}Content-Length: 100\r\n\r\n{{",
        f"POST /v1/kernels {head}Prefer: wait=60\r\nContent-Length: {len(waiting)}\r\n\r\n{waiting}",
        f"GET {job.url}/events {head}\r\n",
        f"GET {job.url}/nngp {head}\r\n",
    ]
    address = urlsplit(running.url)
    for number in range(CLIENTS):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(requests[number % len(requests)].encode())
    [api] = running.processes("api")
    job.check()
    # The places of those who waited are free again, and no connection to a store is kept for them.
    until(lambda: running.queue.zcard("gramd:places:default") == 0, "places are free", PATIENCE_S)
    assert running.processes("api") == [api]
