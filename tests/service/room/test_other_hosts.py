"""A worker on another host needs REDIS_URL and TILES_URL and nothing else.

Hosts are network namespaces joined by one cable (veth). `front` has two Redis servers with a
password, bound to the cable's address, and the API; `back` has a worker, and the client.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from service.processes.children import stop
from service.processes.embedded import find_redis_server

from .serving import PATIENCE_S, until

pytestmark = pytest.mark.slow

FRONT, BACK = "10.217.43.1", "10.217.43.2"
NETWORK = {
    "layers": [{"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "flatten"}]
}
CLIENT = """
import json, sys, httpx
url, key, request = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=120) as client:
    job = client.post("/v1/kernels", json=request, headers={"Prefer": "wait=60"}).json()
    found = client.get(job["links"]["nngp"], headers={"Accept": "application/json"}).json()
    print(json.dumps({"job": job, "matrix": found["data"]}))
"""

Start = Callable[..., subprocess.Popen[bytes]]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """The names of two namespaces that reach each other and nothing else."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    front, back = (f"gramd-{name}-{os.getpid()}" for name in ("front", "back"))
    with ExitStack() as stack:
        for name in (front, back):
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
            stack.callback(ip, "netns", "del", name)
        ip("-n", front, "link", "add", "cable", "type", "veth", "peer", "cable", "netns", back)
        for name, address in ((front, FRONT), (back, BACK)):
            ip("-n", name, "addr", "add", f"{address}/30", "dev", "cable")
            for device in ("cable", "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield front, back


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """Start a command on a host in an environment that holds what is given and PATH; they end in
    reverse order."""
    with ExitStack() as stack:

        def one(host: str, *command: str, **environ: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                ["ip", "netns", "exec", host, *command],
                env={"PATH": os.environ["PATH"], **environ},
                cwd=root,
                stdin=subprocess.DEVNULL,
            )
            stack.callback(stop, process, 30)
            return process

        yield one


def on(host: str, root: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", "netns", "exec", host, *command],
        env={"PATH": os.environ["PATH"], **environ}, cwd=root, capture_output=True, text=True,
        timeout=2 * PATIENCE_S, check=False,
    )  # fmt: skip


def test_a_worker_on_another_host_computes_a_job(
    hosts: tuple[str, str], start: Start, root: Path, tmp_path: Path
) -> None:
    front, back = hosts
    password = secrets.token_hex(16)
    policies = {"6379": "noeviction", "6380": "allkeys-lru"}
    for port, policy in policies.items():
        folder = tmp_path / port
        folder.mkdir()
        (folder / "conf").write_text(
            f"bind {FRONT}\nport {port}\nrequirepass {password}\ndir {folder}\nsave ''\n"
            f"maxmemory 128mb\nmaxmemory-policy {policy}\n"
        )
        start(front, str(find_redis_server()), str(folder / "conf"))
    urls = {
        "REDIS_URL": f"redis://:{password}@{FRONT}:6379/0",
        "TILES_URL": f"redis://:{password}@{FRONT}:6380/0",
    }
    service = [sys.executable, "-m", "service"]

    def key() -> str:
        return on(front, root, *service, "keys", "create", **urls).stdout.strip()

    made = until(key, "the queue's Redis answers, and a key is made")
    api = start(front, *service, "api", "--host", FRONT, "--port", "8000", **urls)
    # Only these two variables; HOME and a data directory are not even there.
    worker = start(back, *service, "worker", **urls)
    x = np.random.default_rng(0).standard_normal((5, 4, 3))
    request = {"architecture": NETWORK, "x1": x.tolist(), "dtype": "float64"}

    def ready() -> bool:
        assert api.poll() is None
        assert worker.poll() is None
        probe = "import sys, urllib.request as u; u.urlopen(sys.argv[1])"
        asked = on(back, root, sys.executable, "-c", probe, f"http://{FRONT}:8000/readyz")
        return asked.returncode == 0

    until(ready, "the service is ready")
    client = on(
        back, root, sys.executable, "-c", CLIENT, f"http://{FRONT}:8000", made, json.dumps(request)
    )
    assert client.returncode == 0, client.stderr
    answer = json.loads(client.stdout)
    assert answer["job"]["state"] == "succeeded"
    expected = kernel_matrix(NETWORK, x, outputs=("nngp",), dtype="float64")["nngp"]
    np.testing.assert_allclose(answer["matrix"], expected, rtol=1e-12)
    # The worker is over there: its host has no Redis of its own, and the password is needed.
    wrong = {name: url.replace(password, "guess") for name, url in urls.items()}
    refused = on(back, root, *service, "worker", **wrong)
    assert refused.returncode == 2, refused.stderr
    here = on(back, root, *service, "keys", "list", REDIS_URL="redis://127.0.0.1:6379/0",
              TILES_URL="redis://127.0.0.1:6380/0")  # fmt: skip
    assert here.returncode == 2, here.stderr
    deadline = time.monotonic() + PATIENCE_S
    worker.terminate()
    assert worker.wait(deadline - time.monotonic()) == 0
