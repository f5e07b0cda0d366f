"""The queue's Redis is killed, and started again from its AOF; or it is full."""

import io

import numpy as np

from tests.faults.conftest import Serve
from tests.faults.running import PATIENCE_S, Job, refusals
from tests.service.room.serving import until


def test_killed_and_restarted_it_has_forgotten_nothing(serve: Serve) -> None:
    running = serve()
    early = running.compute()
    dataset = running.http.post("/v1/datasets", content=npy(np.eye(3)))
    assert dataset.status_code == 201
    job = Job(running)
    job.begun()
    for _ in range(2):
        running.kill("queue.sock")
        # Every answer is the resource, or a problem with Retry-After: the job sees to that.
        assert job.record()["state"] in ("running", "succeeded")
    job.check()
    assert running.http.get(early["links"]["self"]).json()["state"] == "succeeded"
    assert running.http.get(dataset.headers["location"]).status_code == 200


def test_a_full_one_fails_no_job_and_lets_room_be_made(serve: Serve) -> None:
    running = serve()
    early, job, unwanted = running.compute(), Job(running), Job(running, seed=1)
    job.begun()
    running.queue.config_set("maxmemory", 1)
    assert running.http.get(early["links"]["nngp"]).status_code == 200
    until(lambda: refusals(running.queue) > 9, "workers are refused", PATIENCE_S)
    assert job.record()["state"] == "running"
    # Whoever wants to make room can.
    cancelled = running.http.patch(unwanted.url, json={"state": "cancelled"})
    assert cancelled.json()["state"] == "cancelled", cancelled.text
    assert running.http.delete(unwanted.url).status_code == 204
    running.queue.config_set("maxmemory", 0)
    job.check()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
