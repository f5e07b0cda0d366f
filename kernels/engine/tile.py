"""One tile of a result, from the rows of its two groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kernels.demand import Demand
from kernels.engine.additive import Parts
from kernels.engine.additive_tile import AdditiveGroup, additive_tile
from kernels.engine.backend import policy
from kernels.engine.diagnosis import check_finite
from kernels.engine.passes import (
    Network,
    edge_for,
    micro_tiles_per_call,
    own_kernels,
    pair_pass,
    paired_kernels,
)
from kernels.engine.schedule import ShouldStop, in_calls, listing
from kernels.engine.side import Group, compiled_rows
from kernels.engine.workspace import Workspace
from kernels.inputs import Form, Inputs
from kernels.layers.layer import Layer
from kernels.method import EXACT, Additive, Method, MonteCarlo
from kernels.plan.tiles import mirrored
from kernels.result import TileResult, largest
from kernels.spec.architecture import Architecture

Matrix = npt.NDArray[Any]


def compute_tile(
    architecture: Architecture,
    rows1: Inputs,
    rows2: Inputs | None,
    *,
    outputs: Sequence[str],
    form: Form = "matrix",
    method: Method = EXACT,
    workspace: Workspace | None = None,
    should_stop: ShouldStop | None = None,
) -> TileResult:
    """The kernels of two groups of inputs.

    Args:
        architecture: the network, already checked against the inputs.
        rows1: one group, in the job's dtype.
        rows2: the other; None for the first against itself.
        outputs: "nngp", "ntk" or both.
        form: "matrix"; "diagonal" for row i with row i only; "positions" for all pairs of
            positions too.
        method: how they are computed; an estimate adds "nngp_stderr" and "ntk_stderr".
        workspace: threads and one-input results shared with other tiles; None for this thread
            alone.
        should_stop: asked between compiled calls, a fraction of a second apart.

    Returns:
        for each output an array of the inputs' dtype: (len(rows1), len(rows2)), exactly symmetric
        with an exact diagonal where rows2 is None; (len(rows1),) for "diagonal"; with the grids
        of x and x' at the network's end as further axes for "positions". Beside them the largest
        error of what approximates.

    Raises:
        Stopped: `should_stop` said so.
        NumericsError: an entry is not finite.
    """
    if isinstance(method, MonteCarlo):
        from kernels.finite.monte_carlo import monte_carlo

        numbers = method.model_dump(exclude={"type"})
        estimated = monte_carlo(
            architecture, rows1, rows2, outputs=outputs, should_stop=should_stop, **numbers
        )
        return TileResult(estimated)
    shared = workspace or Workspace()
    with jax.enable_x64(rows1.dtype == "float64"):
        computed = _compute(
            architecture.expanded, rows1, rows2, "ntk" in outputs, form, shared, should_stop, method
        )
        tile = {name: computed.values[name] for name in outputs}
        check_finite(tile, architecture, rows1, rows2, _of_one_pair)
    return TileResult(tile, computed.error_estimate)


def _of_one_pair(layers: Sequence[Layer], one: Inputs, two: Inputs | None) -> dict[str, Matrix]:
    form: Form = "positions" if _end(layers, one.grid) else "matrix"
    return _compute(layers, one, two, True, form, Workspace(), None).values


def _compute(
    layers: Sequence[Layer],
    rows1: Inputs,
    rows2: Inputs | None,
    ntk: bool,
    form: Form,
    workspace: Workspace,
    should_stop: ShouldStop | None,
    method: Method = EXACT,
) -> TileResult:
    structure, values = zip(*(layer.split() for layer in layers), strict=True)
    numbers = jax.tree.map(lambda value: jnp.asarray(value, rows1.dtype), values)
    final = Demand.FULL if form == "positions" else Demand.POINT
    network = Network(structure, bool(rows1.grid), ntk, final)
    columns = rows1 if rows2 is None else rows2
    sizes = [compiled_rows(network, side) for side in (rows1, columns)]
    if form == "diagonal":
        sizes = [max(sizes)] * 2

    def group(inputs: Inputs, size: int) -> Group:
        key = (tuple(layers), network, inputs, size)
        return workspace.once(key, lambda: Group.of(network, inputs, numbers, size))

    left = group(rows1, sizes[0])
    right = left if rows2 is None else group(rows2, sizes[1])
    error = largest([left.error_estimate(), right.error_estimate()])
    if form == "diagonal":
        return TileResult(_diagonal(network, left, right, numbers), error)
    parts = Parts.of(network) if isinstance(method, Additive) else None
    if parts is not None and isinstance(method, Additive):

        def additive(group: Group) -> AdditiveGroup:
            return workspace.once((parts, group), lambda: AdditiveGroup.of(parts, group, numbers))

        one = additive(left)
        two = one if right is left else additive(right)
        tile, estimate = additive_tile(
            parts, one, two, numbers, method.tolerance, policy(jax.default_backend()), workspace,
            should_stop,
        )  # fmt: skip
        error["additive"] = estimate
    else:
        tile = _cross(network, left, right, numbers, workspace, should_stop)
    if rows2 is None:
        own = _diagonal(network, left, left, numbers)
        tile = {name: _symmetric(k, own[name]) for name, k in tile.items()}
    ends = [_end(structure, side.grid) for side in (left, right)]
    shaped = {name: k.reshape(*k.shape[:2], *ends[0], *ends[1]) for name, k in tile.items()}
    return TileResult(shaped, error)


def _end(layers: Sequence[Layer], grid: tuple[int, ...]) -> tuple[int, ...]:
    for layer in layers:
        grid = layer.output_grid(grid)
    return grid


def _diagonal(network: Network, left: Group, right: Group, numbers: Any) -> dict[str, Matrix]:
    """Row i with row i; exactly, where both sides are one."""
    count = left.count
    if right is left:
        values = own_kernels(network, left.grid)(left.x, left.chain, numbers, count)
    else:
        run = paired_kernels(network, left.grid, right.grid)
        values = run(left.x, left.chain, right.x, right.chain, numbers, count)
    return {name: np.asarray(kernel)[:count] for name, kernel in values.items()}


def _cross(
    network: Network,
    left: Group,
    right: Group,
    numbers: Any,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> dict[str, Matrix]:
    chosen = policy(jax.default_backend())
    edge = edge_for(network, left.grid, right.grid, chosen, min(len(left.x), len(right.x)))
    micro_rows, micro_columns = -(-left.count // edge), -(-right.count // edge)
    pairs = [
        (i, j) for i in range(micro_rows) for j in range(i if right is left else 0, micro_columns)
    ]
    entry = network.entry(left.grid, right.grid)
    shape = (micro_rows * edge, micro_columns * edge, *entry)
    result = {name: np.zeros(shape, left.x.dtype) for name in network.kernels}
    run = pair_pass(network, left.grid, right.grid, edge)
    most = micro_tiles_per_call(edge, entry)

    def compute(chunk: Sequence[tuple[int, int]]) -> None:
        listed = listing(chunk, most)
        out = run(left.x, left.chain, right.x, right.chain, numbers, listed, len(chunk))
        for name, total in result.items():
            _paste(total, np.asarray(out[name])[: len(chunk)], chunk, edge)

    in_calls(pairs, compute, most, chosen.call_seconds, workspace, should_stop)
    return {name: total[: left.count, : right.count] for name, total in result.items()}


def _paste(total: Matrix, parts: Matrix, chunk: Sequence[tuple[int, int]], edge: int) -> None:
    for (i, j), part in zip(chunk, parts, strict=True):
        total[i * edge : (i + 1) * edge, j * edge : (j + 1) * edge] = part


def _symmetric(k: Matrix, own: Matrix) -> Matrix:
    """A symmetric tile, (n, n) or (n, n, P, P), from its upper triangle and its own kernels."""
    n = len(k)
    below = np.tri(n, k=-1, dtype=bool).reshape(n, n, *[1] * (k.ndim - 2))
    matrix = np.where(below, mirrored(k), k)
    matrix[np.arange(n), np.arange(n)] = own
    return matrix
