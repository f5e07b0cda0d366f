"""The images built and compose.yaml started by a container engine: `make test-images`."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import gramd
from gramd import spec as s
from tests.docker.stack import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NETWORK = s.network(s.dense(), s.relu(), s.attention(), s.relu(), s.global_avg_pool())


class Containers:
    """One project of compose, under a name, a port and images of its own."""

    def __init__(self, root: Path) -> None:
        name, port = f"gramd-test-{os.getpid()}", free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.name = name
        self._command = ["docker", "compose", "-p", name, "-f", str(root / "docker/compose.yaml")]
        self._environ = os.environ | {
            "GRAMD_REDIS_PASSWORD": secrets.token_hex(16),
            "GRAMD_LISTEN": f"127.0.0.1:{port}",
            "GRAMD_API_IMAGE": "gramd-test-api",
            "GRAMD_WORKER_IMAGE": "gramd-test-worker",
            "GRAMD_WORKERS": "2",
        }

    def compose(self, *words: str) -> str:
        """What a command of compose prints; AssertionError with what it said when it fails."""
        done = subprocess.run(
            [*self._command, *words], env=self._environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def up(self) -> None:
        """Starts everything, two workers, and waits until all of it says that it is healthy."""
        self.compose("up", "--detach", "--wait", "--scale", "worker=2")

    def running(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return self.compose("ps", "--quiet", "--status", "running", service).split()


@pytest.fixture(scope="module")
def containers(root: Path) -> Iterator[Containers]:
    try:
        found = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        found = False
    if not found:
        pytest.skip("needs a container engine: Docker with compose")
    made = Containers(root)
    try:
        made.compose("build", "api", "worker")
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def key(containers: Containers) -> str:
    """A key, made before the API first starts: it listens on all addresses of its container."""
    printed = containers.compose("run", "--rm", "api", "python", "-m", "service", "keys", "create")
    containers.up()
    return printed.split()[-1]


def client_of(containers: Containers, key: str) -> gramd.Client:
    return gramd.Client(url=containers.url, key=key)


def test_nothing_answers_without_a_key(containers: Containers, key: str) -> None:
    assert httpx.get(f"{containers.url}/readyz").status_code == 200
    assert httpx.get(f"{containers.url}/v1/kernels").status_code == 401
    asked = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{containers.url}/v1/kernels", headers=asked).status_code == 200


def test_kernels_and_what_is_made_of_them(containers: Containers, key: str) -> None:
    from kernels.matrix import kernel_matrix

    x = np.random.default_rng(0).normal(size=(24, 6, 4))
    client = client_of(containers, key)
    made = client.kernel(NETWORK, x, dtype="float64")
    expected = kernel_matrix(NETWORK, x, dtype="float64")
    np.testing.assert_allclose(made.nngp, expected["nngp"], rtol=1e-12)
    np.testing.assert_allclose(made.ntk, expected["ntk"], rtol=1e-12)
    job = client.kernels.wait(client.kernels.submit(NETWORK, client.datasets.create(x)))
    assert client.kernels.diagnostics(job)["results"]["ntk"]["condition_number"] > 1
    assert client.kernels.preview(job)[1:4] == b"PNG"
    y = np.sin(x[:, 0, 0])
    assert client.predict(NETWORK, x[:16], y[:16], x[16:]).mean.shape == (8,)


def test_what_was_made_outlives_the_containers(containers: Containers, key: str) -> None:
    x = np.random.default_rng(1).normal(size=(12, 5, 3))
    client = client_of(containers, key)
    job = client.kernels.wait(client.kernels.submit(NETWORK, x))
    before = client.kernels.fetch(job, "nngp")
    containers.compose("down")
    containers.up()
    np.testing.assert_array_equal(client.kernels.fetch(job, "nngp"), before)
    again = client.kernels.wait(client.kernels.submit(NETWORK, x))
    assert again.receipt["tiles"] == {"total": 1, "computed": 0, "reused": 1}


def test_a_killed_worker_comes_back(containers: Containers, key: str) -> None:
    workers = containers.running("worker")
    assert len(workers) == 2
    for number in ("1", "2"):
        # Not `docker kill`, after which the engine takes it for stopped on purpose.
        kill = "kill -9 $(cat /proc/1/task/1/children)"
        containers.compose("exec", "-T", "--index", number, "worker", "sh", "-c", kill)
    x = np.random.default_rng(2).normal(size=(7, 5, 3))
    assert client_of(containers, key).kernel(NETWORK, x).nngp.shape == (7, 7)
    deadline = time.monotonic() + 60
    while len(containers.running("worker")) < 2:
        assert time.monotonic() < deadline, "the workers were not started again"
        time.sleep(0.5)


def test_nothing_runs_as_root_or_writes_to_its_image(containers: Containers, key: str) -> None:
    for service in ("api", "worker"):
        found = containers.compose(
            "exec", "-T", service, "sh", "-c", "id -u; touch /app/x 2>&1 || true"
        )
        assert found.startswith("10001\n")
        assert "Read-only file system" in found
