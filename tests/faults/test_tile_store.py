"""Tiles go: killed with their store, evicted, or never taken in. Results come late, never wrong."""

from tests.faults.conftest import Serve
from tests.faults.running import PATIENCE_S, Job, refusals
from tests.service.room.serving import until


def test_a_job_survives_the_loss_of_the_tiles(serve: Serve) -> None:
    running = serve()
    job = Job(running)
    job.begun()
    running.kill("tiles.sock")
    job.check()
    # Once more, with nothing under way: everything is computed again.
    running.kill("tiles.sock")
    job.check()


def test_half_the_tiles_are_evicted_before_the_fetch(serve: Serve) -> None:
    running = serve()
    job = Job(running)
    assert job.ended()["state"] == "succeeded"
    names = sorted(running.tiles.scan_iter("gramd:tile:*"))
    assert running.tiles.delete(*names[::2]) == len(names[::2]) > 1
    job.check()


def test_a_full_tile_store_fails_no_job(serve: Serve) -> None:
    running = serve()
    before = running.tiles.config_get("maxmemory")["maxmemory"]
    job = Job(running)
    job.begun()
    # So little that it has no room even when everything else is evicted.
    running.tiles.config_set("maxmemory", 1)
    until(lambda: refusals(running.tiles) > 2, "writes are refused", PATIENCE_S)
    assert job.record()["state"] == "running"
    running.tiles.config_set("maxmemory", before)
    job.check()
