"""An image installs all that its process may import, the rare ways included."""

from pathlib import Path

import grimp
import pytest
import yaml

from tests.docker.images import hidden_modules, lock_of

# What `python -m service PART` imports, and what its health check and `keys` do.
STARTS = {
    "api": (
        "service.app", "service.http.protocol", "service.processes.health",
        "service.processes.keys_command", "service.store.far_tiles",
    ),
    "worker": ("service.worker.worker", "service.processes.health", "service.store.far_tiles"),
    "worker-gpu": ("service.worker.worker", "service.processes.health", "service.store.far_tiles"),
}  # fmt: skip
# Layers import JAX inside their rules, which the API never calls, and PyYAML writes openapi.yaml;
# without the SDK nothing is traced (service/tracing.py).
NEVER_REACHED = {"api": {"jax", "yaml"}, "worker": set[str](), "worker-gpu": set[str]()}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "kernels", "service", include_external_packages=True, exclude_type_checking_imports=True
    )


@pytest.mark.parametrize("name", STARTS)
def test_an_image_has_what_its_process_imports(
    root: Path, graph: grimp.ImportGraph, name: str
) -> None:
    compose = yaml.safe_load((root / "docker" / "compose.yaml").read_text())
    lock = lock_of(root, compose["services"][name])
    imported = {
        module: start
        for start in STARTS[name]
        for module in {start, *graph.find_upstream_modules(start)}
    }
    assert "redis" in imported, "the graph knows packages that are not ours"
    absent = hidden_modules(lock) - NEVER_REACHED[name]
    missing = {
        module: graph.find_shortest_chain(start, module)
        for module, start in imported.items()
        if module in absent
    }
    assert missing == {}, f"not in {lock.name}"


def test_every_image_of_ours_is_looked_at(root: Path) -> None:
    compose = yaml.safe_load((root / "docker" / "compose.yaml").read_text())
    assert {name for name, service in compose["services"].items() if "build" in service} == set(
        STARTS
    )
