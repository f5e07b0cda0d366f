"""The commands, environments and health checks of compose.yaml, as processes, compute a job."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.docker.stack import Stack, interpolate

PASSWORD = "f2a6c1d0e9b84775"
NETWORK = {
    "layers": [{"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "flatten"}]
}


@pytest.fixture(scope="module")
def stack(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {"GRAMD_REDIS_PASSWORD": PASSWORD, "GRAMD_TILES_MEMORY": "256mb"}
    running = Stack(root / "docker" / "compose.yaml", tmp_path_factory.mktemp("stack"), environ)
    try:
        for name in ("redis-jobs", "redis-tiles", "api", "worker"):
            running.start(name)
        running.wait_healthy("api")
        running.wait_healthy("worker")
        yield running
    finally:
        running.stop()


def test_a_job_goes_through(stack: Stack) -> None:
    x = np.random.default_rng(0).normal(size=(9, 6, 4))
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        assert client.get("/readyz").status_code == 200
        request = {"architecture": NETWORK, "x1": x.tolist(), "dtype": "float64"}
        answer = client.post("/v1/kernels", json=request, headers={"Prefer": "wait=50"})
        assert answer.status_code == 200, answer.text
        job = answer.json()
        assert job["state"] == "succeeded", job
        matrix = np.load(io.BytesIO(client.get(f"/v1/kernels/{job['id']}/nngp").content))
    from kernels.matrix import kernel_matrix

    expected = kernel_matrix(NETWORK, x, outputs=("nngp",), dtype="float64")["nngp"]
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)


def test_no_process_list_shows_the_password(stack: Stack) -> None:
    assert [line for line in stack.command_lines() if PASSWORD in line] == []


def test_health_checks_tell_the_dead_from_the_living(stack: Stack) -> None:
    assert stack.healthy("worker")
    assert stack.stop("worker") == {"worker": 0}
    assert not stack.healthy("worker")
    assert stack.healthy("api")
    stack.start("worker")
    stack.wait_healthy("worker")


def test_compose_refuses_to_start_without_a_password() -> None:
    with pytest.raises(KeyError, match="long random word"):
        interpolate("${GRAMD_REDIS_PASSWORD:?set it to a long random word}", {})
    assert interpolate("$$A ${B:-c} ${D}", {"D": "d"}) == "$A c d"
