"""A tile's nominal cost grows with what has to be done for it, and only with that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.inputs import read_inputs
from kernels.method import EXACT, Additive, MonteCarlo
from kernels.plan.cost import tile_cost, tile_costs
from kernels.plan.tiles import plan_tiles

DENSE = ({"type": "dense"}, {"type": "relu"}, {"type": "dense"})
POOLED = ({"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "relu"},
          {"type": "global_avg_pool"}, {"type": "dense"})  # fmt: skip
FLAT = ({"type": "dense"}, {"type": "relu"}, {"type": "flatten"}, {"type": "dense"})

Cost = Callable[..., float]


@pytest.fixture
def cost() -> Cost:
    """The cost of a tile of 64 x 64 inputs of 32 positions, but for what is said otherwise."""

    def of(*layers: dict[str, Any], rows: int = 64, length: int = 32, **changes: Any) -> float:
        fields: dict[str, Any] = {
            "outputs": ("nngp",), "dtype": "float32", "form": "matrix", "method": EXACT,
            "positions": True,
        }  # fmt: skip
        architecture = parse_architecture({"layers": list(layers)})
        return tile_cost(architecture, (rows, rows), ((length,), (length,)), **(fields | changes))

    return of


def test_more_work_costs_more(cost: Cost) -> None:
    base = cost(*POOLED)
    assert cost(*POOLED, rows=128) > 3 * base
    # Two products of blocks: the cube of the length.
    assert cost(*POOLED, length=512) > 40 * cost(*POOLED, length=128)
    assert cost(*POOLED, outputs=("nngp", "ntk")) > 1.5 * base
    assert cost(*POOLED, dtype="float64") > 1.5 * base
    assert cost(*POOLED, form="diagonal") < base / 8
    elementwise = {"type": "elementwise", "fn": "tanh"}
    assert cost(FLAT[0], elementwise, *FLAT[2:]) > cost(*FLAT)
    branches = [[*FLAT[:2]], [*FLAT[:2]]]
    parallel = {"type": "parallel", "branches": branches, "merge": "sum"}
    assert cost(parallel, *FLAT[2:]) > 1.5 * cost(*FLAT) - cost(*FLAT, rows=1)


def test_what_is_not_wanted_costs_nothing(cost: Cost) -> None:
    """Below flatten only the diagonal of the position pairs is wanted."""
    diagonal = cost(*FLAT, rows=512, length=512) / cost(*FLAT, rows=512, length=64)
    assert diagonal < 30
    assert cost(*FLAT, length=64) < cost(*POOLED, length=64) / 4


def test_estimates_by_networks_grow_with_them(cost: Cost) -> None:
    small = MonteCarlo(width=64, heads=2, samples=8)
    assert cost(*POOLED, method=small.model_copy(update={"samples": 80})) > 5 * cost(
        *POOLED, method=small
    )


def test_every_tile_of_a_plan_has_its_own_cost() -> None:
    x = np.random.default_rng(0).standard_normal((600, 3))
    architecture, rows = parse_architecture({"layers": list(DENSE)}), read_inputs(x)
    plan = plan_tiles(architecture, rows)
    costs = tile_costs(
        architecture, plan, outputs=("ntk",), dtype="float32", method=EXACT, positions=False
    )
    sizes = [np.prod(plan.tile_shape(tile)) for tile in plan.tiles]
    assert len(costs) == len(plan.tiles) == 3
    assert np.argsort(costs).tolist() == np.argsort(sizes).tolist()


def test_the_additive_method_grows_with_the_square_of_the_length(cost: Cost) -> None:
    def additive(*layers: dict[str, Any], length: int) -> float:
        return cost(*layers, rows=1024, length=length, method=Additive())

    assert 12 < additive(*POOLED, length=512) / additive(*POOLED, length=128) < 25
    assert additive(*POOLED, length=512) < cost(*POOLED, rows=1024, length=512) / 4
    # Read out linearly, an attention is no dearer exactly.
    linear = POOLED[:3] + POOLED[4:]
    assert additive(*linear, length=512) == cost(*linear, rows=1024, length=512)
