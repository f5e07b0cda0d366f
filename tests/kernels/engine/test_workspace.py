"""Memory shared by tiles: who begins when, what is refused, what is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest

from kernels.engine.workspace import Workspace
from kernels.errors import KernelError, Stopped
from kernels.matrix import kernel_matrix, memory_needed
from kernels.plan.memory import TileMemory
from tests.kernels.networks import POOL, RELU, attention, dense, entries

LAYERS = {"layers": [dense(), RELU, attention(), RELU, POOL]}
SECONDS = 30


@dataclass(frozen=True)
class Bytes:
    nbytes: int


def takes(own: int, *groups: int, call: int = 0) -> TileMemory:
    return TileMemory(groups, own, call)


def test_a_tile_that_fits_beside_another_begins_at_once() -> None:
    workspace = Workspace(memory_bytes=100)
    with ThreadPoolExecutor(1) as pool, workspace.tile(takes(60), ()):

        def other() -> bool:
            with workspace.tile(takes(40), ()):
                return True

        assert pool.submit(other).result(SECONDS)


def test_tiles_of_one_group_share_what_it_keeps() -> None:
    workspace, group, others = Workspace(memory_bytes=100), object(), [object(), object()]
    with ThreadPoolExecutor(1) as pool, workspace.tile(takes(10, 50, 10), (group, others[0])):

        def other() -> bool:
            with workspace.tile(takes(10, 50, 10), (group, others[1])):
                return True

        assert pool.submit(other).result(SECONDS)


def test_tiles_begin_in_the_order_in_which_they_came() -> None:
    """A small one does not overtake a large one, which would wait for ever."""
    workspace, begun = Workspace(memory_bytes=100), list[str]()
    large_waits = Event()

    def asked() -> bool:
        large_waits.set()
        return False

    def large() -> None:
        with workspace.tile(takes(90), (), asked):
            begun.append("large")

    def small() -> None:
        with workspace.tile(takes(20), ()):
            begun.append("small")

    with ThreadPoolExecutor(2) as pool:
        with workspace.tile(takes(60), ()):
            waiting = [pool.submit(large)]
            assert large_waits.wait(SECONDS)
            waiting.append(pool.submit(small))
            assert begun == []
        for each in waiting:
            each.result(SECONDS)
    assert begun == ["large", "small"]


def test_a_tile_that_waits_can_be_stopped() -> None:
    workspace = Workspace(memory_bytes=100)

    def other() -> None:
        with workspace.tile(takes(50), (), lambda: True):
            raise AssertionError("there was no room")

    with ThreadPoolExecutor(1) as pool:
        with workspace.tile(takes(60), ()), pytest.raises(Stopped):
            pool.submit(other).result(SECONDS)
        with workspace.tile(takes(100), ()):
            pass  # and it is no longer in the way


def test_a_tile_that_never_fits_is_refused() -> None:
    workspace = Workspace(memory_bytes=100)
    with (
        pytest.raises(KernelError, match=r"needs 101 bytes .* budget is 100: raise memory_bytes"),
        workspace.tile(takes(50, 50, call=1), (object(),)),
    ):
        raise AssertionError("it was let in")


def test_results_are_dropped_oldest_first_to_make_room_for_a_tile() -> None:
    workspace, made = Workspace(memory_bytes=100), list[str]()

    def ask(name: str) -> None:
        def make() -> Bytes:
            made.append(name)
            return Bytes(30)

        workspace.once(name, make, name)

    for name in ("a", "b", "c", "a", "c", "b"):
        ask(name)
    assert made == ["a", "b", "c"]
    with workspace.tile(takes(50), ()):
        ask("b")
    assert made == ["a", "b", "c"], "the latest was kept"
    ask("c")
    assert made == ["a", "b", "c", "c"], "an older one made room"


def test_results_of_a_running_tile_are_part_of_its_plan() -> None:
    workspace, made = Workspace(memory_bytes=100), list[int]()

    def make() -> Bytes:
        made.append(1)
        return Bytes(60)

    group = object()
    with workspace.tile(takes(40, 60), (group,)):
        for _ in range(2):
            workspace.once("group", make, group)
    assert len(made) == 1


def test_no_more_calls_run_ahead_than_there_is_memory_for() -> None:
    ahead = list[int]()

    def run(memory: int) -> int:
        begun = ended = most = 0

        def calls() -> Iterator[object]:
            nonlocal begun
            for _ in range(12):
                begun += 1
                yield lambda: None

        with (
            Workspace(4, memory_bytes=memory) as workspace,
            workspace.tile(takes(10, call=10), ()),
        ):
            for _ in workspace.results(calls()):
                ended += 1
                most = max(most, begun - ended + 1)
        assert ended == 12
        return most

    ahead = [run(memory) for memory in (20, 30, 1000)]
    assert ahead == [1, 2, 5]


def test_a_budget_changes_no_number_and_too_little_is_refused() -> None:
    x = entries((140, 40, 2))
    least = memory_needed(LAYERS, x)
    tight = kernel_matrix(LAYERS, x, memory_bytes=least)
    ample = kernel_matrix(LAYERS, x)
    for name, matrix in ample.items():
        np.testing.assert_array_equal(matrix, tight[name])
    with pytest.raises(KernelError, match=f"needs {least} bytes"):
        kernel_matrix(LAYERS, x, memory_bytes=least - 1)
