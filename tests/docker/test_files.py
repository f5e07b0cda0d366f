"""compose.yaml and the Dockerfiles, as far as they can be judged without a container engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCKERFILES = ("api.Dockerfile", "worker.Dockerfile")


@pytest.fixture(scope="module")
def compose(root: Path) -> dict:
    return yaml.safe_load((root / "docker" / "compose.yaml").read_text())


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_compose_satisfies_the_compose_schema(root: Path) -> None:
    file = str(root / "docker" / "compose.yaml")
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfiles_pass_hadolint(root: Path, name: str) -> None:
    run(tool("hadolint"), str(root / "docker" / name))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_have_an_exact_base_pinned_dependencies_and_no_root(root: Path, name: str) -> None:
    text = (root / "docker" / name).read_text()
    bases = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases["PYTHON_IMAGE"])
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    for line in re.findall(r".*pip install.*", text):
        assert "--require-hashes" in line
    last_stage = text[text.rindex("\nFROM ") :]
    assert "pip install" not in last_stage
    assert re.search(r"^USER \d+:\d+$", last_stage, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)([^\s$]+)", text, re.MULTILINE)
    assert [source for source in copied if not (root / source).exists() and "$" not in source] == []


@pytest.mark.parametrize("extra", ["api", "worker", "cuda", "dev"])
def test_locks_pin_every_package_by_hash_and_name_no_registry(root: Path, extra: str) -> None:
    lock = (root / "requirements" / f"{extra}.txt").read_text()
    packages = re.findall(
        r"^([a-z0-9][\w.-]*)(==\S+)?.*?((?:\\\n\s+--hash=sha256:\w{64}\s*)+)", lock, re.MULTILINE
    )
    lines = [line for line in lock.splitlines() if re.match(r"\w", line)]
    assert len(packages) == len(lines) > 20
    assert all(version for _, version, _ in packages)
    assert "://" not in lock
    assert "index" not in lock.replace("indexed", "")


def test_the_api_image_has_no_jax(root: Path) -> None:
    assert not re.search(r"^jax", (root / "requirements" / "api.txt").read_text(), re.MULTILINE)


def test_every_container_is_hardened_limited_and_watched(compose: dict) -> None:
    assert set(compose["services"]) == {
        "redis-jobs", "redis-tiles", "api", "worker", "worker-gpu", "prometheus", "grafana",
    }  # fmt: skip
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["tmpfs"] == ["/tmp"], name  # noqa: S108  (a path in a container)
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_only_what_people_open_is_published_and_on_loopback_only(compose: dict) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert published == {
        "api": ["${GRAMD_LISTEN:-127.0.0.1:8000}:8000"],
        "grafana": ["${GRAMD_GRAFANA_LISTEN:-127.0.0.1:3000}:3000"],
    }
    assert compose["networks"]["private"] == {"internal": True}
    for name, service in compose["services"].items():
        wanted = ["private", "public"] if name in published else ["private"]
        assert service["networks"] == wanted, name


def test_settings_reach_the_api_and_every_worker(compose: dict) -> None:
    optional = [{"path": "gramd.env", "required": False}]
    read = {name for name, s in compose["services"].items() if s.get("env_file") == optional}
    assert read == {"api", "worker", "worker-gpu"}
    # What the file names itself goes before it: nothing else may.
    stated = {key for name in read for key in compose["services"][name]["environment"]}
    assert {key for key in stated if key.startswith("GRAMD_")} == {
        "GRAMD_LOG_LEVEL", "GRAMD_COMPILE_DIR", "GRAMD_WORKERS",
    }  # fmt: skip


def test_a_worker_of_a_gpu_has_the_host_to_itself(compose: dict) -> None:
    services = compose["services"]
    assert services["worker"]["environment"]["GRAMD_WORKERS"] == "${GRAMD_WORKERS:-1}"
    assert services["worker-gpu"]["environment"]["GRAMD_WORKERS"] == "1"


def test_no_password_has_a_default_or_stands_in_a_command(compose: dict) -> None:
    text = yaml.safe_dump(compose)
    assert "GRAMD_REDIS_PASSWORD:?" in text
    assert "GRAMD_REDIS_PASSWORD:-" not in text
    for service in compose["services"].values():
        assert "GRAMD_REDIS_PASSWORD" not in yaml.safe_dump(service.get("command", ""))
