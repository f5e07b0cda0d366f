"""Set before anything imports JAX: one thread per test process, strict shapes, one store of compiled code."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two test processes on two cores: each keeps to one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Adding arrays of different rank is an error in our code: shapes are meant, never guessed.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")

# What several modules compile is compiled once: the processes of a run share a folder, new for each.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="gramd-test-compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

# Compilation makes single examples slow without making them wrong, so there is no deadline.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def _compiled_code_goes_with_its_module() -> Iterator[None]:
    """Compiled code is mapped into memory, and a process may have 65,530 mappings on Linux: past
    them XLA's compiler crashes (seen after some 800 tests, with 5 GB of code)."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


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
