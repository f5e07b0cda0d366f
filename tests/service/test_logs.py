"""What a process writes: JSON lines or columns, fields and tracebacks included, other libraries' too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import logs
from service.errors import StartError

LINES = """
import logging
from structlog.contextvars import bound_contextvars
from service import logs
logs.start("worker", "INFO", FORMAT)
log = logs.get_logger("service.worker.tiler")
log.debug("not this one")
with bound_contextvars(tile="d1", request_id="r1"):
    log.info("tile computed", seconds=0.5)
    logging.getLogger("redis").warning("100 %% %s", "away")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("tile failed")
"""


def written(root: Path, form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LINES.replace("FORMAT", repr(form))],
        cwd=root, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    return done.stderr.splitlines()


def test_json_lines_have_what_was_bound(root: Path) -> None:
    lines = [json.loads(line) for line in written(root, "auto")]
    assert [line["event"] for line in lines] == ["tile computed", "100 % away", "tile failed"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert [line["logger"] for line in lines] == [
        "service.worker.tiler",
        "redis",
        "service.worker.tiler",
    ]
    for line in lines:
        assert (line["tile"], line["request_id"], line["part"]) == ("d1", "r1", "worker")
        assert line["timestamp"].endswith("Z")
        assert line["pid"] > 0
    assert lines[0]["seconds"] == 0.5
    assert "ZeroDivisionError" in lines[2]["exception"]


def test_columns_are_for_people(root: Path) -> None:
    lines = written(root, "console")
    assert "tile computed" in lines[0]
    assert "seconds=0.5" in lines[0]
    assert lines[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("level", "form"), [("LOUD", "json"), ("INFO", "xml")])
def test_what_there_is_not_is_said(level: str, form: str) -> None:
    with pytest.raises(StartError, match="GRAMD_LOG_"):
        logs.start("api", level, form)
