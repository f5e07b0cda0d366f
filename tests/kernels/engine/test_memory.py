"""Planned memory against what XLA says its code takes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.demand import Demand
from kernels.engine.backend import POLICIES, micro_tile_edge
from kernels.engine.network import Network
from kernels.engine.passes import edge_for, inputs_pass, one_input_pass, pair_pass
from kernels.finite.identity import identities
from kernels.finite.network import Row, finite_network
from kernels.finite.sampler import divide, sampler
from kernels.inputs import read_inputs
from kernels.layers.mixed_inputs import with_mixed_inputs
from kernels.method import EXACT, MonteCarlo
from kernels.plan.groups import filled_group
from kernels.plan.input_memory import kept_by_input
from kernels.plan.memory import tile_memory
from kernels.plan.work import GroupShape, Work
from kernels.spec.width import Width
from tests.kernels.finite.cases import CASES
from tests.kernels.networks import (
    FLATTEN,
    POOL,
    RELU,
    attention,
    conv,
    dense,
    entries,
    parallel,
    positional,
)

NETWORKS: dict[str, tuple[list[dict[str, Any]], tuple[int, ...]]] = {
    "vectors": ([dense(), RELU] * 3, (600, 8)),
    "attention": ([dense(), RELU, attention(), RELU, POOL], (5, 128, 4)),
    "deep_and_long": ([dense(), RELU, *[attention(), RELU] * 8, POOL], (2, 256, 4)),
    "positional": (
        [dense(), *[RELU, attention(positional=positional("sum", "rational"))] * 2, RELU, POOL],
        (3, 96, 4),
    ),
    "conv": ([*[conv(3, 3), RELU] * 3, POOL], (3, 12, 12, 3)),
    "flatten": ([*[conv(3, 3), RELU] * 4, FLATTEN], (9, 16, 16, 3)),
    "attention_first": ([attention(), RELU, POOL], (5, 128, 4)),
    "attention_to_flatten": ([attention(), RELU, FLATTEN], (9, 128, 4)),
    "low_rank": (
        [dense(), RELU, attention(mechanism={"type": "softmax", "rank": 16}), RELU, POOL],
        (4, 128, 4),
    ),
}


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are made for processors that multiply bfloat16, where inputs keep more; the API cannot know
    what its workers run on."""
    monkeypatch.setattr("kernels.mechanisms.mixing.multiplies_bfloat16", lambda: True)
    monkeypatch.setattr("kernels.engine.passes.multiplies_bfloat16", lambda: True)


@pytest.mark.parametrize("name", NETWORKS)
def test_planned_is_at_least_what_code_takes_and_at_most_twice(name: str) -> None:
    document, shape = NETWORKS[name]
    inputs = read_inputs(entries(shape), dtype="float32")
    architecture = parse_architecture({"layers": document})
    policy = POLICIES["cpu"]
    layers = with_mixed_inputs(architecture.expanded, EXACT)
    work = Work(layers, 2, 4, False, EXACT)
    group = filled_group(work, len(inputs), inputs.grid, shape[-1])
    planned = tile_memory(work, group, group, lambda *sizes: micro_tile_edge(policy, *sizes))

    structure, values = zip(*(layer.split() for layer in layers), strict=True)
    numbers = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), values)
    network = Network(structure, bool(inputs.grid), True)
    flat = jnp.zeros((group.rows, *([int(np.prod(inputs.grid))] if inputs.grid else []), shape[-1]))
    one_input = one_input_pass(network, inputs.grid).jitted
    chain = jax.eval_shape(one_input, flat, (None, None), numbers, (), 1)
    edge = edge_for(network, inputs.grid, inputs.grid, policy, group.rows)
    pairs = np.zeros(((group.rows // edge) ** 2, 2), np.int32)
    lowered = pair_pass(network, inputs.grid, inputs.grid, edge).jitted.lower(
        flat, chain, flat, chain, numbers, pairs, 1
    )
    found = lowered.compile().memory_analysis()
    assert found is not None
    taken = found.temp_size_in_bytes + found.output_size_in_bytes
    assert taken <= planned.call <= 2 * taken

    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((flat, chain)))
    if network.mixes_inputs:
        mixing = inputs_pass(network, inputs.grid).jitted.lower(flat, (None, None), numbers, 1)
        found = mixing.compile().memory_analysis()
        assert found is not None
        assert found.temp_size_in_bytes + found.output_size_in_bytes <= planned.own

    # Vectors are counted generously, which short inputs of few channels show.
    assert kept <= planned.groups[0] <= 2 * kept + 2**20


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mechanism", [{"type": "performer", "features": 16}, {"type": "softmax"}])
def test_a_mixing_matrix_is_counted_as_it_is_kept(mechanism: dict[str, Any], causal: bool) -> None:
    """In two thin factors, or dense: random features are of no use where positions are cut off."""
    layers = [dense(), attention(mechanism, causal=causal), RELU, POOL]
    expanded = parse_architecture({"layers": layers}).expanded
    structure, values = zip(*(layer.split() for layer in expanded), strict=True)
    numbers = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), values)
    run = one_input_pass(Network(structure, True, True), (128,)).jitted
    kept = jax.eval_shape(run, jnp.zeros((1, 128, 4)), (None, None), numbers, (), 1)
    taken = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
    planned = kept_by_input(expanded, (128,), 4, 4, Demand.POINT)
    assert taken <= planned <= taken + 16 * 4 * 128


@pytest.mark.parametrize("name", [name for name in CASES if "sqrt" not in str(CASES[name].layers)])
def test_every_layer_says_how_much_an_input_keeps_of_it(name: str) -> None:
    """`Layer.kept_numbers`: a layer whose `observe` returns more than it says fills a worker."""
    case = CASES[name]
    expanded = parse_architecture({"layers": case.layers}).expanded
    structure, values = zip(*(layer.split() for layer in expanded), strict=True)
    numbers = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), values)
    *grid, channels = case.shape[1:]
    row = jnp.zeros((1, *([int(np.prod(grid))] if grid else []), channels))
    run = one_input_pass(Network(structure, bool(grid), True), tuple(grid)).jitted
    kept = jax.eval_shape(run, row, (None, None), numbers, (), 1)
    taken = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
    assert taken <= kept_by_input(expanded, tuple(grid), channels, 4, Demand.POINT)


def test_what_an_input_keeps_grows_with_depth_and_the_square_of_the_length() -> None:
    def kept(depth: int, size: int) -> int:
        layers = [dense(), *[attention(), RELU] * depth, POOL]
        network = parse_architecture({"layers": layers}).expanded
        return kept_by_input(network, (size,), 4, 4, Demand.POINT)

    # A in float32, and half as much for attention that is flat.
    assert kept(1, 512) == pytest.approx(1.5 * 4 * 512**2, rel=0.1)
    assert kept(8, 512) == pytest.approx(8 * kept(1, 512), rel=0.1)
    assert kept(1, 1024) == pytest.approx(4 * kept(1, 512), rel=0.1)


def test_a_group_with_itself_is_counted_once() -> None:
    network = parse_architecture({"layers": [dense(), RELU, attention(), RELU, POOL]})
    work, group = Work(network.expanded, 2, 4, False, EXACT), GroupShape(32, (512,), 16)
    alone = tile_memory(work, group, None, lambda entries, products, rows: 1)
    two = tile_memory(work, group, group, lambda entries, products, rows: 1)
    assert (len(alone.groups), len(two.groups)) == (1, 2)
    assert two.alone - alone.alone == pytest.approx(1.5 * 32 * 2**20, rel=0.1)


@pytest.mark.parametrize("wanted", [("nngp",), ("nngp", "ntk")], ids=["nngp", "both"])
@pytest.mark.parametrize("name", ["of many positions", "of branches"])
def test_weights_of_finite_networks_are_counted_as_they_are_drawn(
    name: str, wanted: tuple[str, ...]
) -> None:
    branches = [[dense(), RELU, dense()]] * 4
    layers, shape = {
        "of many positions": ([conv(3, 3), RELU, FLATTEN, dense()], (4, 32, 32, 3)),
        "of branches": ([dense(), parallel(*branches), RELU, dense()], (4, 8)),
    }[name]
    method = MonteCarlo(width=256 if len(shape) > 2 else 4096, heads=1)
    architecture, inputs = parse_architecture({"layers": layers}), read_inputs(entries(shape))
    work = Work(architecture.expanded, len(wanted), 4, False, method)
    group = filled_group(work, len(inputs), inputs.grid, shape[-1])
    planned = tile_memory(work, group, None, lambda *_: 1)

    network, numbers = finite_network(
        architecture, shape[-1], inputs.grid, Width(method.width, method.heads)
    )
    row = Row.of(inputs, identities(inputs, None)[0])
    division = divide(network, numbers, row, None, "ntk" in wanted, method.samples)
    lowered = sampler(network, wanted, division).lower(
        numbers, jax.random.key(np.uint32(0)), 0, row, None
    )
    found = lowered.compile().memory_analysis()
    assert found is not None
    assert found.temp_size_in_bytes <= planned.call <= 2 * found.temp_size_in_bytes
