"""Workers of a running service are killed, stopped, made to crash and told to end."""

import os
import signal
import time
from random import Random

import pytest

from tests.faults.conftest import Serve
from tests.faults.running import PATIENCE_S, Job
from tests.service.room.serving import alive, until


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_at_random_moments_they_lose_nothing(serve: Serve, seed: int) -> None:
    random = Random(seed)
    running = serve(workers=2, LEASE_S=2)
    for round_ in range(2):
        job = Job(running, seed=round_)
        # Two kills: fewer than the three beginnings that a tile is allowed.
        for _ in range(2):
            time.sleep(random.uniform(0, 1.5))  # the moment is the fault, no condition is awaited
            os.kill(random.choice(until(lambda: running.processes("worker"), "one")), 9)
        job.check()


def test_a_tile_that_crashes_its_worker_every_time_is_given_up(serve: Serve) -> None:
    running = serve(LEASE_S=1)
    # One large tile; whoever begins it is killed, as the kernel kills what takes too much memory.
    poison = Job(running, n=32, positions=500)
    good = Job(running, n=16, positions=8)
    [tile] = running.queue.hkeys(f"gramd:job:default:{poison.id}:asked")
    count = f"gramd:deliveries:default:{tile.decode()}"
    for attempt in range(1, 4):
        until(lambda n=attempt: running.queue.get(count) == b"%d" % n, "it is begun", PATIENCE_S)
        running.kill("worker")
    ended = poison.ended()
    assert ended["state"] == "failed"
    assert "begun 3 times and never finished" in ended["error"]["detail"]
    good.check()


def test_a_hanging_worker_loses_its_tiles_to_another(serve: Serve) -> None:
    running = serve(workers=2, LEASE_S=2)
    job = Job(running)
    job.begun()
    victim = running.processes("worker")[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        job.check()
    finally:
        os.kill(victim, signal.SIGCONT)
    # What it computes now is late and harmless, and it goes on.
    Job(running, seed=1).check()
    assert victim in running.processes("worker")


def test_sigterm_in_mid_job_is_no_loss(serve: Serve) -> None:
    running = serve(workers=2)
    job = Job(running)
    job.begun()
    family = running.family | running.descendants()
    running.process.terminate()
    assert running.process.wait(PATIENCE_S) == 0
    assert alive(family) == set()
    again = serve(workers=2)
    job.on(again)
    # One worker drains, and is started again.
    victim = again.processes("worker")[0]
    os.kill(victim, signal.SIGTERM)
    until(lambda: not alive({victim}), "it ends", PATIENCE_S)
    job.check()
