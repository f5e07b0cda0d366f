"""Settings from the environment: a wrong value or name is refused in one line that says what to do."""

import re
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import BlockingConnectionPool

from service.errors import StartError
from service.processes.data_dir import make_directory
from service.settings import VARIABLES, Settings
from service.store.connection import connect_for_threads

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


PASSWORD = "s3cr"
BROKEN = [
    f"redis://:{PASSWORD}#etA@127.0.0.1:6379/0",
    f"redis://:12#{PASSWORD}@127.0.0.1:6379/0",
    f"redis://:{PASSWORD}/12@127.0.0.1:6379/0",
    f"redis://:12/{PASSWORD}@127.0.0.1:6379/0",
    f"redis://:{PASSWORD}?12@127.0.0.1:6379/0",
    f"redis://:12?{PASSWORD}@127.0.0.1:6379/0",
    f"redis://:{PASSWORD}@127.0.0.1:99999/0",
    f"redis://:{PASSWORD}@127.0.0.1:0/0",
    f"redis://:{PASSWORD}@127.0.0.1:port/0",
    f"redis://:{PASSWORD}@127.0.0.1:6379/abc",
    f"redis://:{PASSWORD}@127.0.0.1:6379/0?foo=1",
    f"redis://:{PASSWORD}@127.0.0.1:6379/0?socket_timeout=long",
    f"redis://:{PASSWORD}@127.0.0.1:6379/0?ssl_cert_reqs=none",
    f"unix://?{PASSWORD}",
    f"redis://[{PASSWORD}",
]


@pytest.mark.parametrize("url", BROKEN)
@pytest.mark.parametrize("variable", ["REDIS_URL", "TILES_URL"])
def test_what_is_no_address_is_refused_in_words_without_it(variable: str, url: str) -> None:
    both = {"REDIS_URL": "redis://x", "TILES_URL": "redis://x"}
    with pytest.raises(StartError) as caught:
        Settings.from_env(both | {variable: url})
    assert str(caught.value).startswith(f"{variable} is not an address; percent-encode # / ? @")
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value)).partition("raise ")[2]


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:a%23%2F%3F%40b@127.0.0.1:6379/3",
        "redis://user:pass@[::1]:6380/",
        "unix:///run/redis.sock?db=0",
        "unix://:pass@/run/redis.sock",
        "redis://h?socket_timeout=1.5&socket_connect_timeout=1&socket_keepalive=true&client_name=g",
        "redis://h/1?health_check_interval=3&retry_on_timeout=true&db=2",
        "rediss://h/0?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_password=p&ssl_ca_path=/x",
        "rediss://h/0?ssl_certfile=/c&ssl_keyfile=/k&ssl_ca_certs=/a",
    ],
)
def test_an_address_that_is_taken_is_one_that_can_be_used(url: str) -> None:
    assert Settings.from_env({"REDIS_URL": url, "TILES_URL": url}).redis_url == url
    with connect_for_threads(url) as client:
        client.connection_pool.make_connection()
    BlockingConnectionPool.from_url(url, timeout=1).make_connection()


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
