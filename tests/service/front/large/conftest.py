"""A job whose result the tile store cannot keep, and a folder for such results."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from service.state import Service
from tests.service.front.conftest import DENSE

WAIT = {"Prefer": "wait=60"}
ROWS = np.random.default_rng(0).standard_normal((620, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    """The stores of every test, and a folder for large results."""
    return replace(settings, results_url=f"file://{folder}")


@pytest.fixture(autouse=True)
async def small_tile_store(service: Service) -> AsyncIterator[None]:
    """A tile store whose ceiling the job below passes."""
    before = (await service.tiles_client.info("memory"))["maxmemory"]
    await service.tiles_client.config_set("maxmemory", 4 << 20)
    yield
    await service.tiles_client.config_set("maxmemory", before)


def body(**more: Any) -> dict[str, Any]:
    return {"architecture": DENSE, "x1": ROWS.tolist(), "dtype": "float64", **more}
