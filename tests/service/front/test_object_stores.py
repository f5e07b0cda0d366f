"""Large results in servers that speak the protocols of S3 and Azure: `make test-object-stores`.

The servers are moto's and Azurite, which answer as the real ones do, signatures and all, from memory.
"""

import base64
import hashlib
import hmac
import io
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kernels.matrix import kernel_matrix
from service.errors import StartError
from service.settings import Settings
from service.state import Service
from service.store import keys
from service.store.far_tiles import check_object_store
from tests.service.room.serving import until

from .conftest import DENSE, problem

WAIT = {"Prefer": "wait=60"}
ROWS = np.random.default_rng(0).standard_normal((620, 2))
# Azurite's own account and key, the same everywhere, which its documents publish.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Emulator:
    """A running server: `scheme` of its addresses, where it is, and what the environment says of it."""

    scheme: str
    url: str
    environ: dict[str, str]
    process: subprocess.Popen[bytes]


def s3(port: int) -> tuple[list[str], str, dict[str, str]]:
    """moto's server: command, address, environment."""
    url = f"http://127.0.0.1:{port}"
    environ = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    return ["moto_server", "-H", "127.0.0.1", "-p", str(port)], url, environ


def az(port: int) -> tuple[list[str], str, dict[str, str]]:
    """Azurite: command, address, environment."""
    url = f"http://127.0.0.1:{port}/{ACCOUNT}"
    environ = {
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_ALLOW_HTTP": "true",
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": KEY,
    }
    command = [
        "azurite-blob",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    return [*command, "--blobHost", "127.0.0.1", "--blobPort", str(port)], url, environ


def make_bucket(emulator: Emulator) -> None:
    """A bucket (a container) named `results`."""
    if emulator.scheme == "s3":
        httpx.put(f"{emulator.url}/results").raise_for_status()
        return
    stamps = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in stamps.items())]
    text = "\n".join([*lines, f"/{ACCOUNT}/{ACCOUNT}/results", "restype:container"])
    signed = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    word = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    headers = stamps | {"Authorization": word}
    httpx.put(f"{emulator.url}/results?restype=container", headers=headers).raise_for_status()


@pytest.fixture(params=["s3", "az"])
def emulator(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Emulator]:
    """One of the servers, with a bucket."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    command, url, environ = {"s3": s3, "az": az}[request.param](port)
    own = root / ".venv-stores"
    places = (os.environ["PATH"], str(own / "bin"), str(own / "node_modules" / ".bin"))
    found = shutil.which(command[0], path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"{command[0]} is not installed; `make test-object-stores` installs it")
    with (tmp_path / "emulator.log").open("wb") as log:
        process = subprocess.Popen([found, *command[1:]], stdout=log, stderr=log)
        try:
            running = Emulator(request.param, url, environ, process)

            def answers() -> bool:
                assert process.poll() is None, Path(log.name).read_text()
                with socket.socket() as asking:
                    return asking.connect_ex(("127.0.0.1", port)) == 0

            until(answers, f"{command[0]} listens")
            make_bucket(running)
            yield running
        finally:
            process.kill()
            process.wait(30)


@pytest.fixture
def settings(settings: Settings, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The stores of every test, and a bucket for large results."""
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    return replace(settings, results_url=f"{emulator.scheme}://results/gramd")


async def test_a_large_result_goes_there_comes_back_and_is_deleted(
    client: httpx.AsyncClient, service: Service, working: Any, emulator: Emulator
) -> None:
    before = (await service.tiles_client.info("memory"))["maxmemory"]
    await service.tiles_client.config_set("maxmemory", 4 << 20)
    try:
        body = {"architecture": DENSE, "x1": ROWS.tolist(), "dtype": "float64"}
        async with working():
            job = (await client.post("/v1/kernels", json=body, headers=WAIT)).json()
            assert job["state"] == "succeeded", job
        assert [name async for name in service.tiles_client.scan_iter("gramd:tile:*")] == []
        answer = await client.get(job["links"]["ntk"])
        expected = kernel_matrix(DENSE, ROWS, outputs=("ntk",), dtype="float64")["ntk"]
        assert np.array_equal(np.load(io.BytesIO(answer.content)), expected)
        far = service.tiles.far
        assert far is not None
        stored = await service.client.hget(keys.FAR_TOTALS, "default")
        assert int(stored or 0) > expected.nbytes  # two outputs, somewhat more than half of each
        again = (await client.post("/v1/kernels", json=body, headers=WAIT)).json()
        assert again["receipt"]["tiles"]["reused"] == job["tiles_total"]
        await client.delete(again["links"]["self"])
        await client.delete(job["links"]["self"])
        assert await far.delete_due() == job["tiles_total"]
        assert await service.client.exists(keys.FAR_TOTALS, keys.FAR_DUE) == 0
        # Deleting what is not there any more is no matter.
        await far.delete("default", ["0" * 66])
        async with working():
            job = (await client.post("/v1/kernels", json=body, headers=WAIT)).json()
        emulator.process.kill()
        emulator.process.wait(30)
        away = problem(await client.get(job["links"]["ntk"]), 503)
        assert away["type"].endswith("store-unavailable")
    finally:
        await service.tiles_client.config_set("maxmemory", before)


def test_what_is_wrong_with_an_address_is_said_at_start(
    settings: Settings, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_object_store(settings.results_url)

    def refused(url: str) -> str:
        with pytest.raises(StartError) as caught:
            check_object_store(url)
        return str(caught.value)

    assert "is there such a bucket" in refused(f"{emulator.scheme}://none/x")
    variable = next(name for name in emulator.environ if name.endswith("ALLOW_HTTP"))
    monkeypatch.delenv(variable)
    assert variable in refused(settings.results_url)
