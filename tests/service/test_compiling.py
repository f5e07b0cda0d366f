"""What a tile is told to have spent on compiling, whichever of its threads did."""

import time

import jax.monitoring

from kernels.engine.workspace import Workspace
from service.worker import compiling

TRACED = "/jax/core/compile/jaxpr_trace_duration"


def compiles() -> None:
    began = time.monotonic()
    while time.monotonic() < began + 0.02:
        pass
    # One program within another.
    for _ in range(2):
        jax.monitoring.record_event_duration_secs(TRACED, time.monotonic() - began)


def test_seconds_of_all_threads_count_and_none_twice() -> None:
    compiling.listen()
    began = time.monotonic()
    with compiling.counted() as spent, Workspace(threads=2) as workspace:
        list(workspace.results(iter([compiles] * 4)))
        compiles()
    passed = time.monotonic() - began
    compiles()
    assert 0.06 <= spent.seconds <= passed


def test_other_work_counts_for_itself() -> None:
    compiling.listen()
    with compiling.counted() as spent, compiling.counted() as other:
        compiles()
    assert spent.seconds == 0 < other.seconds
