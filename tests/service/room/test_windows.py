"""Windows: any part of any result, put together from tiles run by run."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.inputs import Form
from kernels.plan.placement import mirrored
from kernels.plan.tiles import RowGroup, TilePlan
from service.records import JobRecord, Layout
from service.results import reading, windows
from service.results.windows import Window, open_window


def plan_of(
    form: Form, entry: tuple[int, ...], sizes1: list[list[int]], sizes2: list[list[int]] | None
) -> TilePlan:
    """A plan whose groups are the given rows."""
    groups1 = tuple(RowGroup(tuple(rows), ()) for rows in sizes1)
    groups2 = groups1 if sizes2 is None else tuple(RowGroup(tuple(rows), ()) for rows in sizes2)
    n1, n2 = (sum(len(group.rows) for group in groups) for groups in (groups1, groups2))
    return TilePlan(n1, n2, sizes2 is None, form, entry, groups1, groups2)


def layout_of(plan: TilePlan) -> Layout:
    """A job that has succeeded, of this plan and with one output; its tiles have no names."""
    moment = datetime.now(UTC)
    record = JobRecord(
        id="k", tenant="default", state="succeeded", architecture="", dtype="float64",
        outputs=("ntk",), form=plan.form, method={"type": "exact"}, shape=plan.shape, n1=plan.n1,
        n2=plan.n2, symmetric=plan.symmetric, tiles_total=len(plan.tiles), created_at=moment,
        expires_at=moment,
    )  # fmt: skip
    return Layout(record, plan, (), frozenset())


def partitions(n: int) -> st.SearchStrategy[list[list[int]]]:
    """Rows 0 to n - 1 in one to four groups, ascending in each."""
    return st.lists(st.integers(0, 3), min_size=n, max_size=n).map(
        lambda labels: [
            [row for row in range(n) if labels[row] == label] for label in sorted(set(labels))
        ]
    )


def spans(n: int) -> st.SearchStrategy[range]:
    """A non-empty part of 0 to n - 1."""
    return st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(
        lambda ends: range(min(ends), max(ends) if ends[0] != ends[1] else ends[0] + 1)
    )


async def assembled(window: Window, tiles: dict[int, np.ndarray], sizes: tuple[int, int]) -> Any:
    """What a window gives when runs and held tiles may have the sizes."""

    async def read(indices: Sequence[int]) -> list[np.ndarray]:
        assert window.needed().issuperset(indices)
        return [tiles[index] for index in indices]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "RUN_BYTES", sizes[0])
        patch.setattr(reading, "HELD_TILE_BYTES", sizes[1])
        runs = [run async for run in window.runs(np.dtype("f8"), read)]
    item = 8 * math.prod(window.shape[2:])
    assert all(run.nbytes <= max(item, sizes[0]) for run in runs)
    assert all(run.flags.c_contiguous for run in runs)
    return np.concatenate([run.reshape(-1) for run in runs]).reshape(window.shape)


@given(data=st.data())
async def test_any_rectangle_of_any_plan_is_that_of_the_result(data):
    n1, n2 = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    symmetric = data.draw(st.booleans())
    n2 = n1 if symmetric else n2
    grids = data.draw(st.sampled_from([((), ()), ((2,), (2,)), ((2, 3), (2, 3)), ((3,), (1,))]))
    if symmetric and grids[0] != grids[1]:
        grids = (grids[0], grids[0])
    entry = (*grids[0], *grids[1])
    form: Form = "positions" if entry else "matrix"
    groups2 = None if symmetric else data.draw(partitions(n2))
    plan = plan_of(form, entry, data.draw(partitions(n1)), groups2)
    result = np.random.default_rng(0).standard_normal((n1, n2, *entry))
    result = result + mirrored(result) if symmetric else result
    rows, cols = data.draw(spans(n1)), data.draw(spans(n2))
    window = open_window(layout_of(plan), "ntk", rows, cols)
    tiles = {
        tile.index: result[np.ix_(plan.groups1[tile.row].rows, plan.groups2[tile.col].rows)]
        for tile in plan.tiles
    }
    sizes = data.draw(st.integers(1, 800)), data.draw(st.integers(1, 800))
    found = await assembled(window, tiles, sizes)
    assert np.array_equal(found, result[rows.start : rows.stop, cols.start : cols.stop])


@given(data=st.data())
async def test_any_part_of_any_diagonal_is_that_of_the_diagonal(data):
    n = data.draw(st.integers(1, 20))
    groups = data.draw(partitions(n))
    plan = plan_of("diagonal", (), groups, data.draw(st.sampled_from([None, groups])))
    result, rows = np.arange(float(n)), data.draw(spans(n))
    window = open_window(layout_of(plan), "ntk", rows, range(n))
    tiles = {tile.index: result[list(plan.groups1[tile.row].rows)] for tile in plan.tiles}
    sizes = data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100))
    found = await assembled(window, tiles, sizes)
    assert np.array_equal(found, result[rows.start : rows.stop])


async def test_no_more_is_made_ahead_than_was_asked_for():
    made: list[int] = []

    async def items() -> AsyncGenerator[int, None]:
        try:
            for number in range(9):
                made.append(number)
                yield number
        finally:
            made.append(-1)

    async with aclosing(reading.ahead(items(), 2)) as coming:
        assert await anext(coming) == 0
        for _ in range(100):  # turns of the loop, of which it takes a few
            await asyncio.sleep(0)
        assert made == [0, 1, 2]
        assert [await anext(coming), await anext(coming)] == [1, 2]
    assert made[-1] == -1
