"""The tiles' Redis is killed under a running service: results come late, and never wrong."""

import io
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from kernels.matrix import kernel_matrix

from .serving import PATIENCE_S, Served, until

ATTENTION = {
    "layers": [
        {"type": "dense"},
        {"type": "relu"},
        {"type": "attention"},
        {"type": "global_avg_pool"},
        {"type": "dense"},
    ]
}


def tile_store(served: Served) -> int:
    """The process that keeps the tiles now; 0 while there is none."""
    for pid in served.descendants():
        if b"tiles.sock" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return 0


def kill_tile_store(served: Served) -> None:
    """Kill -9, and wait until another one is there."""
    victim = until(lambda: tile_store(served), "there is a tile store")
    os.kill(victim, signal.SIGKILL)
    until(lambda: tile_store(served) not in (0, victim), "it is started again")


def fetched(client: httpx.Client, url: str) -> np.ndarray:
    """The matrix, asked for as often as Retry-After says so; nothing but a matrix or a problem."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = client.get(url)
        if answer.status_code == 200:
            return np.load(io.BytesIO(answer.content))
        assert answer.status_code in (409, 503), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert time.monotonic() < deadline, answer.text
        time.sleep(float(answer.headers["retry-after"]))


def test_a_job_survives_the_loss_of_the_tiles(
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    served = Served(launch())
    x = np.random.default_rng(0).standard_normal((224, 40, 4)).astype("float32")
    buffer = io.BytesIO()
    np.save(buffer, x)
    with httpx.Client(base_url=served.url, timeout=PATIENCE_S) as client:
        form = {"request": f'{{"architecture": {ATTENTION}}}'.replace("'", '"')}
        answer = client.post("/v1/kernels", data=form, files={"x1": buffer.getvalue()})
        assert answer.status_code == 202, answer.text
        url: str = answer.headers["location"]

        def job() -> dict[str, Any]:
            return client.get(url).json()

        until(lambda: job()["tiles_done"] > 0, "a tile is done")
        assert job()["state"] == "running"
        kill_tile_store(served)
        ended = until(lambda: (now := job())["state"] not in ("queued", "running") and now, "ends")
        assert ended["state"] == "succeeded", ended
        expected = kernel_matrix(ATTENTION, x)
        for output in ("nngp", "ntk"):
            np.testing.assert_array_equal(fetched(client, ended["links"][output]), expected[output])
        # Once more, with nothing under way: everything is computed again.
        kill_tile_store(served)
        np.testing.assert_array_equal(fetched(client, ended["links"]["ntk"]), expected["ntk"])
