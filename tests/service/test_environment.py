"""Settings from the environment: a wrong value or name is refused in one line that says what to do."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import StartError
from service.processes.data_dir import make_directory
from service.settings import VARIABLES, Settings

COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"


def refused(**environ: str) -> str:
    with pytest.raises(StartError) as caught:
        Settings.from_env(environ)
    return str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("GRAMD_WORKERS", "100000", "a whole number between 1 and 256"),
        ("GRAMD_TILES_BYTES", "4G", "a whole number of bytes between"),
        ("GRAMD_TILES_BYTES", "1", "a whole number of bytes between 16777216"),
        ("GRAMD_MAX_WAIT_S", "1e14", "a number of seconds between"),
        ("GRAMD_LEASE_S", "1e-9", "a number of seconds between"),
        ("GRAMD_LEASE_S", "nan", "a number of seconds between"),
        ("GRAMD_INSECURE_OPEN", "yes", "1 or 0"),
    ],
)
def test_values_out_of_range_name_the_range(variable: str, value: str, wanted: str) -> None:
    message = refused(**{variable: value})
    assert message.startswith(f"{variable} must be {wanted}")
    assert value in message


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("GRAMD_WORKER", "GRAMD_WORKERS"),
        ("GRAMD_DATADIR", "GRAMD_DATA_DIR"),
        ("GRAMD_JOB_TTL", "GRAMD_JOB_TTL_S"),
        ("GRAMD_MAX_BODY", "GRAMD_MAX_BODY_BYTES"),
        ("gramd_workers", "GRAMD_WORKERS"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_right_one(given: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refused(**{given: "3"})


def test_a_letter_too_few_is_found_in_every_variable() -> None:
    for variable in VARIABLES.values():
        assert "did you mean GRAMD_" in refused(**{variable[:-2] + variable[-1]: "1"})


def test_variables_of_others_are_left_alone() -> None:
    others = set(re.findall(r"GRAMD_\w+", COMPOSE.read_text())) - set(VARIABLES.values())
    others |= {"GRAMD_URL", "GRAMD_KEY", "GRAMD_PORT", "GRAMD_SERVICE_HOST", "GRAMD_PORT_8000_TCP"}
    assert Settings.from_env(dict.fromkeys(others, "x")) == Settings.from_env({})


def test_store_addresses_of_another_scheme_are_refused_without_their_password() -> None:
    message = refused(REDIS_URL="http://:secret@x", TILES_URL="redis://y")
    assert message == "REDIS_URL must begin with redis://, rediss://, unix://"


def test_paths_are_made_absolute_and_sizes_are_taken() -> None:
    found = Settings.from_env({"GRAMD_DATA_DIR": "d", "GRAMD_GRACE_S": "0.5", "GRAMD_WORKERS": "3"})
    assert found.data_dir == Path.cwd() / "d"
    assert (found.grace, found.workers) == (timedelta(seconds=0.5), 3)


def test_a_directory_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(StartError, match="choose a directory that this user may write to"):
            make_directory(path, "data directory")
    make_directory(tmp_path / "a" / "b", "data directory")
    assert list((tmp_path / "a" / "b").iterdir()) == []
