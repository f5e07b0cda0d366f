"""`python -m service keys`, and where a service without keys may listen."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.settings import Settings

from .serving import PATIENCE_S, Served


@pytest.fixture
def command(root: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m service` with words; in an environment of its own."""
    base = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    base["GRAMD_DATA_DIR"] = str(tmp_path / "data")

    def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", *words],
            env=base | environ, cwd=root, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip

    return run


def test_keys_are_made_listed_and_revoked_whether_or_not_the_service_runs(
    command: Callable[..., subprocess.CompletedProcess[str]],
    launch: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    # Nothing runs: the store is started for as long as the command takes.
    first = command("keys", "create", "--tenant", "lab", "--name", "a laptop")
    assert first.returncode == 0, first.stderr
    served = Served(launch())
    second = command("keys", "create", "--tenant", "lab")

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key.strip()}"}
        return httpx.get(f"{served.url}/v1/limits", headers=headers, timeout=30).status_code

    assert httpx.get(f"{served.url}/v1/limits", timeout=30).status_code == 401
    assert status(first.stdout) == status(second.stdout) == 200
    key_id = first.stdout.split("_")[1]
    assert command("keys", "revoke", key_id).returncode == 0
    assert status(first.stdout) == 401
    assert status(second.stdout) == 200
    listed = command("keys", "list").stdout.splitlines()
    assert len(listed) == 3
    assert listed[1].startswith(key_id)
    assert listed[1].endswith("a laptop")
    assert first.stdout.strip() not in "".join(listed)
    # The data directory may stand on either side of the action.
    there = command(
        "keys", "create", "--data-dir", str(tmp_path / "data"), GRAMD_DATA_DIR="/nowhere"
    )
    assert status(there.stdout) == 200, there.stderr
    before = command(
        "keys", "--data-dir", str(tmp_path / "data"), "list", GRAMD_DATA_DIR="/nowhere"
    )
    assert len(before.stdout.splitlines()) == 4
    unknown = command("keys", "revoke", "nosuch")
    assert unknown.returncode == 2
    assert "no key 'nosuch'" in unknown.stderr


@pytest.mark.parametrize("part", ["api", "serve"])
def test_without_keys_only_this_machine_may_reach_it(
    command: Callable[..., subprocess.CompletedProcess[str]], settings: Settings, part: str
) -> None:
    assert settings.redis_url is not None
    stores = {"REDIS_URL": settings.redis_url, "TILES_URL": settings.tiles_url or ""}
    refused = command(part, "--host", "0.0.0.0", "--port", "0", **stores)  # noqa: S104
    assert refused.returncode == 2
    for remedy in ("keys create", "127.0.0.1", "GRAMD_INSECURE_OPEN"):
        assert remedy in refused.stderr


def test_one_key_is_enough_to_listen_everywhere(
    command: Callable[..., subprocess.CompletedProcess[str]], settings: Settings, root: Path
) -> None:
    stores = {"REDIS_URL": settings.redis_url or "", "TILES_URL": settings.tiles_url or ""}
    key = command("keys", "create", **stores).stdout.strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "api", "--host", "0.0.0.0", "--port", str(port)],  # noqa: S104
        env={**os.environ, **stores}, cwd=root,
    )  # fmt: skip
    try:
        transport = httpx.HTTPTransport(retries=30)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/v1/limits", timeout=30).status_code == 401
            headers = {"Authorization": f"Bearer {key}"}
            assert client.get("/v1/limits", headers=headers, timeout=30).status_code == 200
    finally:
        process.terminate()
        process.wait(30)
