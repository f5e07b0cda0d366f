"""Set before anything imports JAX: one thread per test process, strict shapes."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two test processes on two cores: each keeps to one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Adding arrays of different rank is an error in our code: shapes are meant, never guessed.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")

# Compilation makes single examples slow without making them wrong, so there is no deadline.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the project."""
    return ROOT


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """The maintainers' folder of real data beside the clone; it is not part of the project."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared, the maintainers' data, which has no licence to be published")
    return folder
