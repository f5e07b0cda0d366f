"""Cutting a result: every entry once, stable under extension, and without effect on the numbers."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from kernels.architecture import Architecture, parse_architecture
from kernels.engine.tile import compute_tile
from kernels.inputs import Inputs, read_inputs
from kernels.matrix import kernel_matrix
from kernels.plan.buckets import bucket_length
from kernels.plan.placement import place
from kernels.plan.tiles import Tile, TilePlan, Tiles, plan_tiles
from tests.kernels.networks import (
    FLATTEN,
    LAYER_NORM,
    POOL,
    RELU,
    SPATIAL_NORM,
    SUM_POOL,
    attention,
    conv,
    dense,
    entries,
    masks,
    parallel,
    positional,
)

ATTENTION = parse_architecture({"layers": [dense(), RELU, attention(), RELU, POOL]})
VECTORS = parse_architecture({"layers": [dense(), RELU, dense()]})


def sequences(n: int, size: int = 200, seed: int = 0) -> Inputs:
    """Sequences of many lengths, so that they fall into many buckets."""
    mask = masks("tail", (n, size, 1), seed)
    return read_inputs(np.ones((n, size, 1)), mask)


def plans() -> dict[str, tuple[Architecture, Inputs, Inputs | None]]:
    vectors = read_inputs(np.ones((1300, 2)))
    return {
        "vectors": (VECTORS, vectors, None),
        "vectors_cross": (VECTORS, vectors, read_inputs(np.ones((700, 2)))),
        "sequences": (ATTENTION, sequences(300), None),
        "sequences_cross": (ATTENTION, sequences(300), sequences(77, size=90, seed=1)),
        "one": (ATTENTION, sequences(1), None),
    }


@pytest.mark.parametrize("name", plans())
def test_every_entry_is_placed_exactly_once(name: str) -> None:
    network, one, two = plans()[name]
    plan = plan_tiles(network, one, two)
    counts = np.zeros((plan.n1, plan.n2), int)
    for tile in plan.tiles:
        rows, cols = plan.groups1[tile.row].rows, plan.groups2[tile.col].rows
        mark = np.full((len(rows), len(cols)), tile.index + 1)
        before = counts.copy()
        place(counts, plan, tile, mark)
        assert not before[counts == tile.index + 1].any(), "an entry was placed twice"
    assert counts.all()
    assert [tile.index for tile in plan.tiles] == list(range(len(plan.tiles)))


@pytest.mark.parametrize("name", ["vectors", "sequences", "one"])
def test_symmetric_plans_have_the_upper_triangle_only(name: str) -> None:
    network, one, _ = plans()[name]
    plan = plan_tiles(network, one)
    assert plan.symmetric
    assert all(tile.row <= tile.col for tile in plan.tiles)
    groups = len(plan.groups1)
    assert len(plan.tiles) == groups * (groups + 1) // 2
    assert [plan.is_diagonal(tile) for tile in plan.tiles] == [t.row == t.col for t in plan.tiles]


@pytest.mark.parametrize(
    ("tiles", "wanted"),
    [
        (Tiles(3, 3, True, False), lambda row, col: row <= col),
        (Tiles(3, 2, False, False), lambda row, col: True),
        (Tiles(3, 3, False, True), lambda row, col: row == col),
        (Tiles(3, 3, True, True), lambda row, col: row == col),
    ],
)
def test_tiles_are_found_by_their_index(tiles: Tiles, wanted: Callable[[int, int], bool]) -> None:
    places = product(range(tiles.rows), range(tiles.cols))
    listed = [Tile(i, *at) for i, at in enumerate(at for at in places if wanted(*at))]
    assert list(tiles) == listed
    assert [tiles[index] for index in range(-len(tiles), len(tiles))] == listed * 2
    assert list(tiles[1:]) == listed[1:]
    with pytest.raises(IndexError):
        tiles[len(tiles)]


def test_how_many_tiles_there_are_is_known_before_any_is_made() -> None:
    groups = 100_000
    tiles = Tiles(groups, groups, symmetric=True, diagonal=False)
    assert len(tiles) == groups * (groups + 1) // 2
    assert tiles[-1] == Tile(len(tiles) - 1, groups - 1, groups - 1)


def test_x_against_itself_as_two_sides_is_not_symmetric() -> None:
    network, one, _ = plans()["vectors"]
    plan = plan_tiles(network, one, one)
    assert not plan.symmetric
    assert len(plan.tiles) == len(plan.groups1) ** 2
    assert not any(plan.is_diagonal(tile) for tile in plan.tiles)


@pytest.mark.parametrize("name", plans())
def test_groups_keep_caller_order_and_hold_their_rows(name: str) -> None:
    network, one, two = plans()[name]
    plan = plan_tiles(network, one, two)
    for inputs, groups in ((one, plan.groups1), (two or one, plan.groups2)):
        assert sorted(row for group in groups for row in group.rows) == list(range(len(inputs)))
        for group in groups:
            assert list(group.rows) == sorted(group.rows)
            if inputs.grid:
                assert inputs.lengths[list(group.rows)].max() <= group.grid[0]


def test_only_the_last_group_of_a_bucket_is_ragged() -> None:
    plan = plan_tiles(ATTENTION, sequences(900))
    buckets: dict[tuple[int, ...], list[int]] = {}
    for group in plan.groups1:
        buckets.setdefault(group.grid, []).append(len(group.rows))
    assert any(len(sizes) > 1 for sizes in buckets.values())
    for sizes in buckets.values():
        assert len(set(sizes[:-1])) <= 1
        assert sizes[-1] <= sizes[0]


@pytest.mark.parametrize("more", [1, 40, 300])
def test_an_extension_keeps_every_full_group(more: int) -> None:
    whole = sequences(600 + more)
    part = whole.take(range(600))
    before, after = plan_tiles(ATTENTION, part), plan_tiles(ATTENTION, whole)
    largest = {
        g.grid: max(len(o.rows) for o in after.groups1 if o.grid == g.grid) for g in before.groups1
    }
    own = [min(bucket_length(int(length)), 200) for length in part.lengths]
    full = {
        group
        for group in before.groups1
        if len(group.rows) == largest[group.grid] and {own[i] for i in group.rows} == {*group.grid}
    }
    assert full
    assert full <= set(after.groups1)


@pytest.mark.parametrize("name", plans())
def test_json_round_trip(name: str) -> None:
    network, one, two = plans()[name]
    plan = plan_tiles(network, one, two)
    assert TilePlan.from_json(plan.to_json()) == plan


def test_bucket_edges_hold_what_falls_into_them() -> None:
    edges = [bucket_length(n) for n in range(1, 3000)]
    assert all(edge >= n for n, edge in enumerate(edges, start=1))
    assert edges == sorted(edges)
    assert all(bucket_length(edge) == edge for edge in set(edges))
    assert len(set(edges)) <= 24
    assert all(edge <= 1.5 * n for n, edge in enumerate(edges, start=1) if n > 64)
    assert all(edge <= 1.25 * n for n, edge in enumerate(edges, start=1) if n > 128)


def of_lengths(counts: dict[int, int], size: int = 600) -> Inputs:
    """So many sequences of each length."""
    lengths = np.repeat(list(counts), list(counts.values()))
    return read_inputs(np.ones((len(lengths), size, 1)), np.arange(size) < lengths[:, None])


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ({300: 3}, {(320, 3)}),  # nobody to join
        ({300: 16, 380: 1}, {(384, 17)}),  # half a group: two neighbouring edges
        ({300: 17, 380: 1}, {(320, 17), (384, 1)}),
        ({380: 1, 430: 1}, {(448, 2)}),  # an eighth: an octave
        ({380: 5, 430: 1}, {(384, 5), (448, 1)}),
        ({250: 1, 260: 1}, {(256, 1), (320, 1)}),  # never into another octave
        ({300: 33, 380: 33}, {(320, 32), (384, 32), (384, 2)}),  # full groups stay what they are
        ({260: 2, 350: 2, 400: 2, 500: 2}, {(512, 8)}),  # one after the other
        ({10: 1, 40: 1, 70: 1, 100: 1}, {(128, 4)}),
    ],
)
def test_a_few_inputs_are_computed_with_longer_ones(
    counts: dict[int, int], groups: set[tuple[int, int]]
) -> None:
    plan = plan_tiles(ATTENTION, of_lengths(counts))
    assert {(group.grid[0], len(group.rows)) for group in plan.groups1} == groups


def test_a_few_pairs_are_computed_with_longer_ones_on_both_sides() -> None:
    """Never with one that is longer on one side only."""
    one, two = (of_lengths(dict.fromkeys(sizes, 1)) for sizes in ((270, 370, 500), (380, 290, 500)))
    plan = plan_tiles(ATTENTION, one, two, form="diagonal")
    assert [group.grid for group in plan.groups1] == [(512,)]
    one, two = one.take([0, 1]), two.take([0, 1])
    plan = plan_tiles(ATTENTION, one, two, form="diagonal")
    assert [(a.grid, b.grid) for a, b in zip(plan.groups1, plan.groups2, strict=True)] == [
        ((320,), (384,)), ((384,), (320,))
    ]  # fmt: skip


TRIMMING: dict[str, list[dict[str, Any]]] = {
    "attention": [conv(3), RELU, attention(), RELU, POOL, dense()],
    "even_window": [conv(4), RELU, conv(2), SPATIAL_NORM, RELU, SUM_POOL],
    "positions": [dense(), attention(positional=positional("sum", "rational")), LAYER_NORM, POOL],
    "causal_residual": [dense(), attention(causal=True, residual={"weight": 0.3}), RELU, POOL],
}
# A window of valid padding that reaches past the end is not there, so some padding has to stay.
WITH_A_MARGIN: dict[str, list[dict[str, Any]]] = {
    "valid": [conv(9, padding="valid"), RELU, attention(), RELU, POOL],
    "valid_twice": [conv(4, padding="valid"), RELU, conv(5, padding="valid"), SPATIAL_NORM, POOL],
    "strided": [conv(5, strides=[3], padding="valid"), RELU, conv(3, padding="valid"), POOL],
    "pooled": [dense(), {"type": "avg_pool", "window": [4], "strides": [2]}, attention(), POOL],
    "in_a_branch": [
        dense(),
        parallel([RELU, conv(6, padding="valid")], [conv(6, padding="valid")]),
        POOL,
    ],
}
TIED_TO_THE_CALLERS_LENGTH: dict[str, list[dict[str, Any]]] = {
    "flatten": [conv(3), RELU, FLATTEN, dense()],
    "strided_same": [conv(3, strides=[2]), RELU, POOL],
    "circular": [conv(3, padding="circular"), RELU, POOL],
    "in_a_branch": [dense(), parallel([RELU, conv(2, padding="circular")], []), POOL],
}


@pytest.mark.parametrize("name", TRIMMING)
def test_buckets_have_no_effect_on_the_numbers(name: str) -> None:
    """Masked inputs of two buckets in one request, one of them with an input of a third, against the
    same inputs really cut."""
    layers, lengths = {"layers": TRIMMING[name]}, (3, 33, 130)
    x, mask = entries((3, 170, 2)), np.arange(170)[None] < np.array(lengths)[:, None]
    plan = plan_tiles(parse_architecture(layers), read_inputs(x, mask))
    assert [(group.grid, group.rows) for group in plan.groups1] == [((64,), (0, 1)), ((160,), (2,))]
    together = kernel_matrix(layers, x, mask1=mask, dtype="float64")
    cut = [x[i : i + 1, :length] for i, length in enumerate(lengths)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        alone = kernel_matrix(layers, cut[i], cut[j], dtype="float64")
        for output in ("nngp", "ntk"):
            np.testing.assert_allclose(alone[output][0, 0], together[output][i, j], rtol=1e-7)


@pytest.mark.parametrize("name", WITH_A_MARGIN)
def test_buckets_keep_the_margin_that_valid_windows_need(name: str) -> None:
    """Cut to their buckets, against all positions that the caller sent."""
    network, lengths = parse_architecture({"layers": WITH_A_MARGIN[name]}), (2, 9, 24, 131)
    mask = np.arange(170)[None] < np.array(lengths)[:, None]
    inputs = read_inputs(entries((4, 170, 2)), mask, dtype="float64")
    assert len({group.grid for group in plan_tiles(network, inputs).groups1}) == 2
    whole = compute_tile(network, inputs, None, outputs=("nngp", "ntk")).values
    cut = kernel_matrix(network, inputs.x, mask1=mask, dtype="float64")
    for output, expected in whole.items():
        np.testing.assert_allclose(cut[output], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TIED_TO_THE_CALLERS_LENGTH)
def test_networks_that_need_the_callers_length_are_not_cut(name: str) -> None:
    network = parse_architecture({"layers": TIED_TO_THE_CALLERS_LENGTH[name]})
    plan = plan_tiles(network, sequences(20))
    assert {group.grid for group in plan.groups1} == {(200,)}


@pytest.mark.parametrize("name", TRIMMING)
def test_padding_with_masks_changes_nothing(name: str) -> None:
    layers = {"layers": TRIMMING[name]}
    x = entries((3, 6, 2))
    padded = np.concatenate([x, np.full((3, 5, 2), np.nan)], axis=1)
    mask = np.arange(11)[None] < np.full((3, 1), 6)
    plain = kernel_matrix(layers, x, dtype="float64")
    result = kernel_matrix(layers, padded, mask1=mask, dtype="float64")
    for output in ("nngp", "ntk"):
        np.testing.assert_allclose(result[output], plain[output], rtol=1e-8)
