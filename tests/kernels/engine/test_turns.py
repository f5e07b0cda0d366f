"""Turns of threads that share the processors."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from kernels.engine.turns import Turns

SECONDS = 30


def test_who_has_had_a_turn_is_behind_those_who_have_waited_long_enough() -> None:
    turns, order = Turns(1, patience=0), list[str]()

    def take(name: str) -> None:
        with turns.one():
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with turns.one():
            others = []
            for name in ("second", "third"):
                others.append(pool.submit(take, name))
                while len(turns.waiting) < len(others):
                    sleep(0.001)
        take("first again")
        for each in others:
            each.result(SECONDS)
    assert order == ["second", "third", "first again"]


def test_as_many_have_a_turn_at_once_as_there_are() -> None:
    turns, begun = Turns(2), list[str]()

    def third() -> None:
        with turns.one():
            begun.append("third")

    with ThreadPoolExecutor(1) as pool:
        with turns.one(), turns.one():
            waiting = pool.submit(third)
            while not turns.waiting:
                sleep(0.001)
            assert begun == []
        waiting.result(SECONDS)
    assert begun == ["third"]


def test_a_turn_is_given_back_by_what_fails() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="lost"), turns.one():
        raise ValueError("lost")
    with turns.one():
        assert not turns.waiting
