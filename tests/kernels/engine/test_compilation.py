"""How often things are compiled, for which machines, and with which precision rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels import code_memory
from kernels.architecture import parse_architecture
from kernels.demand import Demand
from kernels.engine import pairs, passes
from kernels.engine.backend import POLICIES, micro_tile_edge
from kernels.engine.compiled import Compiled
from kernels.engine.tile import compute_tile
from kernels.engine.workspace import Workspace
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import Additive
from tests.kernels.networks import (
    FLATTEN,
    GELU,
    LAYER_NORM,
    POOL,
    RELU,
    SPATIAL_NORM,
    attention,
    avg_pool,
    conv,
    dense,
    entries,
    masks,
    parallel,
    positional,
)

BROAD: list[dict[str, Any]] = [
    conv(3),
    SPATIAL_NORM,
    RELU,
    avg_pool(2, padding="same"),
    dense(),
    parallel([GELU, attention(positional=positional("concat", "rational", in_values=True))], []),
    {"type": "erf", "a": 0.7, "b": 0.5, "c": 0.1},
    attention("abs", causal=True),
    attention("identity", scaling="sqrt", residual={"weight": 0.2}),
    LAYER_NORM,
    {"type": "leaky_relu", "alpha": 0.1},
    dense(),
    {"type": "elementwise", "fn": "elu"},
    dense(),
    POOL,
    dense(),
]
X, MASK = entries((5, 6, 3)), masks("holes", (5, 6, 3))


COMPILED: list[str] = []
"""What was compiled in this process, by name."""


def _note(event: str, duration: float, **details: Any) -> None:
    if event.endswith("backend_compile_duration"):
        COMPILED.append(str(details["fun_name"]))


jax.monitoring.register_event_duration_secs_listener(_note)


@pytest.fixture
def compilations() -> Callable[[], int]:
    """Counts the compilations since the test began."""
    before = len(COMPILED)
    return lambda: len(COMPILED) - before


def test_a_sweep_over_numbers_compiles_once(compilations: Callable[[], int]) -> None:
    def network(w_std: float, eps: float, weight: float) -> dict[str, Any]:
        return {
            "layers": [
                dense(w_std),
                {"type": "layer_norm", "eps": eps},
                RELU,
                attention(qk_std=w_std, residual=None, positional=positional("sum", std=weight)),
                {"type": "leaky_relu", "alpha": weight},
                POOL,
            ]
        }

    x = entries((4, 5, 3))
    first = kernel_matrix(network(1.0, 1e-6, 0.5), x)
    compiled = compilations()
    assert compiled >= 3  # the one-input pass, the pair pass, the diagonal
    for w_std in (0.3, 1.7):
        swept = kernel_matrix(network(w_std, 1e-3, 0.2), x)
        assert not np.allclose(swept["ntk"], first["ntk"])
    assert compilations() == compiled


def test_other_rows_of_one_shape_compile_nothing(compilations: Callable[[], int]) -> None:
    layers = {"layers": [dense(), RELU, attention(), RELU, POOL]}
    kernel_matrix(layers, entries((12, 6, 3)))
    compiled = compilations()
    kernel_matrix(layers, entries((12, 6, 3), seed=1))
    # Groups are filled up to powers of two.
    kernel_matrix(layers, entries((13, 6, 3), seed=2))
    assert compilations() == compiled


def test_test_inputs_compile_nothing_that_training_inputs_did_not(
    compilations: Callable[[], int],
) -> None:
    """Both orders of two lengths, and the diagonal, as predictions take them."""
    layers = {"layers": [dense(), RELU, attention(), RELU, POOL]}
    x = entries((6, 300, 3))
    mask = np.arange(300) < np.array([300, 290, 280, 50, 40, 30])[:, None]
    kernels = kernel_matrix(layers, x, mask1=mask)
    compiled = compilations()
    test = slice(1, 5)
    cross = kernel_matrix(layers, x[test], x, mask1=mask[test], mask2=mask)
    prior = kernel_matrix(layers, x[test], mask1=mask[test], form="diagonal")
    assert compilations() == compiled
    for name, whole in kernels.items():
        np.testing.assert_allclose(cross[name], whole[test], rtol=1e-5)
        np.testing.assert_allclose(prior[name], np.diag(whole)[test], rtol=1e-6)


def test_what_is_compiled_ahead_is_not_compiled_again(compilations: Callable[[], int]) -> None:
    run = Compiled(lambda x, count: jnp.tanh(x) * count)
    run.ahead(jax.ShapeDtypeStruct((7, 5), jnp.float32), 1)
    run.ahead(np.ones((7, 5), np.float32), 3)
    assert compilations() == 1
    np.testing.assert_allclose(run(np.ones((7, 5), np.float32), 2), 2 * np.tanh(1), rtol=1e-6)
    assert compilations() == 1


def test_compiled_code_is_dropped_before_there_are_too_many_mappings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compilations: Callable[[], int]
) -> None:
    # XLA's compiler aborts the process at vm.max_map_count, some thousand programs.
    network = {"layers": [dense(), RELU, attention(), RELU, POOL]}
    first = kernel_matrix(network, entries((9, 7, 3)))
    compiled, dropped = compilations(), code_memory.times_dropped()
    kernel_matrix(network, entries((9, 7, 3)))
    assert (compilations(), code_memory.times_dropped()) == (compiled, dropped)

    most = tmp_path / "max_map_count"
    most.write_text("1")
    monkeypatch.setattr(code_memory, "_MOST", most)
    kernel_matrix(network, entries((9, 8, 3)))
    monkeypatch.undo()
    assert code_memory.times_dropped() > dropped

    compiled = compilations()
    again = kernel_matrix(network, entries((9, 7, 3)))
    assert compilations() > compiled
    for name, kernel in first.items():
        np.testing.assert_array_equal(again[name], kernel)


def test_threads_compile_for_the_additive_method_what_its_tiles_need() -> None:
    layers = [dense(), RELU, attention(), {"type": "erf"}, POOL]
    # So unlike one another that no pair is left to the exact evaluation.
    x = 0.3 * entries((4, 40, 9)) + entries((4, 1, 9), seed=1)
    inputs = read_inputs(x, np.arange(40) < 30 + np.arange(4)[:, None])
    before = len(COMPILED)
    with Workspace(threads=2) as workspace:
        compute_tile(
            parse_architecture({"layers": layers}), inputs, None, outputs=("nngp", "ntk"),
            method=Additive(tolerance=0.99), workspace=workspace,
        )  # fmt: skip
    # One-input pass, averages, thin products, effects, both put together; for other shapes than
    # those that were asked for later, there would be more.
    assert COMPILED[before:].count("jit(precise)") == 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_dtype_is_promoted_by_accident(dtype: str) -> None:
    with jax.numpy_dtype_promotion("strict"):
        result = kernel_matrix({"layers": BROAD}, X, mask1=MASK, dtype=dtype)
        kernel_matrix({"layers": [dense(), RELU, FLATTEN]}, X, X, mask2=MASK, dtype=dtype)
    assert all(k.dtype == dtype for k in result.values())


@pytest.mark.parametrize("masked", [True, False])
def test_every_function_lowers_for_cuda(masked: bool) -> None:
    layers, values = zip(
        *(layer.split() for layer in parse_architecture({"layers": BROAD}).expanded), strict=True
    )
    numbers = jax.tree.map(jnp.float32, values)
    network = passes.Network(layers, positions=True, ntk=True)
    x = jnp.zeros((8, 6, 3), jnp.float32)
    mask = jnp.ones((8, 6), bool) if masked else None
    one = passes.one_input_pass(network, (6,))

    def lower(function: Any) -> jax.export.Exported:
        return jax.export.export(function.jitted, platforms=["cuda"])

    assert lower(one)(x, (mask, mask), numbers, (), 8).platforms == ("cuda",)
    chain = jax.eval_shape(one.jitted, x, (mask, mask), numbers, (), 8)
    listed = jnp.zeros((4, 2), jnp.int32)
    run = passes.pair_pass(network, (6,), (6,), 4)
    assert lower(run)(x, chain, x, chain, numbers, listed, 1).platforms == ("cuda",)


@pytest.mark.parametrize("grid", [(), (6,)])
def test_deep_networks_are_compiled_without_repeating_their_layers(grid: tuple[int, ...]) -> None:
    def multiplications(depth: int) -> int:
        # XLA copies cheap operations into each loop that reads them: layer into layer, if let.
        layers, values = zip(
            *(
                layer.split()
                for layer in parse_architecture({"layers": [dense(), RELU] * depth}).expanded
            ),
            strict=True,
        )
        numbers = jax.tree.map(jnp.float32, values)
        final = Demand.FULL if grid else Demand.POINT
        network = passes.Network(layers, positions=bool(grid), ntk=True, final=final)
        x = jnp.zeros((4, *grid, 3), jnp.float32)
        chain = passes.one_input_pass(network, grid).jitted(x, (None, None), numbers, (), 4)
        listed = jnp.zeros((4, 2), jnp.int32)
        run = passes.pair_pass(network, grid, grid, 2).jitted
        lowered = run.lower(x, chain, x, chain, numbers, listed, 1)
        return lowered.compile().as_text().count(" multiply(")

    assert multiplications(16) < 2.5 * multiplications(8)


def test_the_gpus_policy_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {"layers": [dense(), RELU, attention(), RELU, POOL]}
    x = entries((40, 60, 3))
    here = kernel_matrix(layers, x)
    edges = [micro_tile_edge(POLICIES[name], 60 * 60, True, 40) for name in ("cpu", "gpu")]
    assert edges[0] < edges[1]
    monkeypatch.setattr(pairs, "policy", lambda platform: POLICIES["gpu"])
    there = kernel_matrix(layers, x)
    for output, matrix in here.items():
        np.testing.assert_allclose(there[output], matrix, rtol=2e-6)
