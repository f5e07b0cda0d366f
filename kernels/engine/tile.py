"""One tile of a result, from the rows of its two groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kernels.demand import Demand
from kernels.engine.backend import policy
from kernels.engine.diagnosis import check_finite
from kernels.engine.passes import (
    Network,
    edge_for,
    micro_tiles_per_call,
    one_input_pass,
    own_kernels,
    pair_pass,
    paired_kernels,
)
from kernels.errors import Stopped
from kernels.inputs import Form, Inputs
from kernels.layers.layer import Layer
from kernels.method import EXACT, Method, MonteCarlo
from kernels.plan.tiles import group_rows, mirrored
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
    should_stop: Callable[[], bool] | None = None,
) -> dict[str, Matrix]:
    """The kernels of two groups of inputs.

    Args:
        architecture: the network, already checked against the inputs.
        rows1: one group, in the job's dtype.
        rows2: the other; None for the first against itself.
        outputs: "nngp", "ntk" or both.
        form: "matrix"; "diagonal" for row i with row i only; "positions" for all pairs of
            positions too.
        method: how they are computed; an estimate adds "nngp_stderr" and "ntk_stderr".
        should_stop: asked between compiled calls, a fraction of a second apart.

    Returns:
        for each output an array of the inputs' dtype: (len(rows1), len(rows2)), exactly symmetric
        with an exact diagonal where rows2 is None; (len(rows1),) for "diagonal"; with the grids
        of x and x' at the network's end as further axes for "positions".

    Raises:
        Stopped: `should_stop` said so.
        NumericsError: an entry is not finite.
    """
    if isinstance(method, MonteCarlo):
        from kernels.finite.monte_carlo import monte_carlo

        numbers = method.model_dump(exclude={"type"})
        return monte_carlo(
            architecture, rows1, rows2, outputs=outputs, should_stop=should_stop, **numbers
        )
    with jax.enable_x64(rows1.dtype == "float64"):
        computed = _compute(
            architecture.expanded, rows1, rows2, "ntk" in outputs, form, should_stop
        )
        tile = {name: computed[name] for name in outputs}
        check_finite(tile, architecture, rows1, rows2, _of_one_pair)
    return tile


def _of_one_pair(layers: Sequence[Layer], one: Inputs, two: Inputs | None) -> dict[str, Matrix]:
    form: Form = "positions" if _end(layers, one.grid) else "matrix"
    return _compute(layers, one, two, ntk=True, form=form, should_stop=None)


class _Side:
    """A group on the device, its rows filled up to a compiled size, with its one-input pass."""

    def __init__(self, network: Network, inputs: Inputs, numbers: Any, size: int) -> None:
        self.count, self.grid = len(inputs), inputs.grid
        x = inputs.x.reshape(self.count, *([prod(self.grid)] if self.grid else []), -1)
        mask = None if inputs.mask is None else inputs.mask.reshape(self.count, -1)
        self.x = jnp.asarray(_filled(x, size))
        self.mask = None if mask is None else jnp.asarray(_filled(mask, size))
        self.chain = one_input_pass(network, self.grid)(self.x, self.mask, numbers)


def _filled(rows: Matrix, size: int) -> Matrix:
    """Rows repeated up to `size`: what they give is computed and thrown away, never read."""
    return rows if len(rows) == size else rows[np.minimum(np.arange(size), len(rows) - 1)]


def _compute(
    layers: Sequence[Layer],
    rows1: Inputs,
    rows2: Inputs | None,
    ntk: bool,
    form: Form,
    should_stop: Callable[[], bool] | None,
) -> dict[str, Matrix]:
    structure, values = zip(*(layer.split() for layer in layers), strict=True)
    numbers = jax.tree.map(lambda value: jnp.asarray(value, rows1.dtype), values)
    final = Demand.FULL if form == "positions" else Demand.POINT
    network = Network(structure, bool(rows1.grid), ntk, final)
    chosen = policy(jax.default_backend())
    columns = rows1 if rows2 is None else rows2
    sizes = [_compiled_rows(network, side) for side in (rows1, columns)]
    if form == "diagonal":
        sizes, edge = [max(sizes)] * 2, 1
    else:
        edge = edge_for(network, rows1.grid, columns.grid, chosen, min(sizes))
    left = _Side(network, rows1, numbers, sizes[0])
    right = left if rows2 is None else _Side(network, rows2, numbers, sizes[1])
    if form == "diagonal":
        return _diagonal(network, left, right, numbers)
    tile = _cross(network, left, right, numbers, edge, chosen.call_seconds, should_stop)
    if rows2 is None:
        own = _diagonal(network, left, left, numbers)
        tile = {name: _symmetric(k, own[name]) for name, k in tile.items()}
    ends = [_end(structure, side.grid) for side in (left, right)]
    return {name: k.reshape(*k.shape[:2], *ends[0], *ends[1]) for name, k in tile.items()}


def _end(layers: Sequence[Layer], grid: tuple[int, ...]) -> tuple[int, ...]:
    for layer in layers:
        grid = layer.output_grid(grid)
    return grid


def _diagonal(network: Network, left: _Side, right: _Side, numbers: Any) -> dict[str, Matrix]:
    """Row i with row i; exactly, where both sides are one."""
    if right is left:
        values = own_kernels(network, left.grid)(left.x, left.chain, numbers)
    else:
        run = paired_kernels(network, left.grid, right.grid)
        values = run(left.x, left.chain, right.x, right.chain, numbers)
    return {name: np.asarray(kernel)[: left.count] for name, kernel in values.items()}


def _compiled_rows(network: Network, inputs: Inputs) -> int:
    """Rows that a group is filled up to: a full group's, or a 32nd of it, ...

    Only micro-tiles with rows of the group are computed, so filling up costs little, and a ragged
    last group mostly needs no compilation of its own. A function of the group alone: its numbers
    must not depend on what else is in the job.
    """
    rows = group_rows(prod(inputs.grid), Demand.FULL in network.forms)
    while len(inputs) <= rows // 32:
        rows //= 32
    return max(rows, 1 << (len(inputs) - 1).bit_length())


def _cross(
    network: Network,
    left: _Side,
    right: _Side,
    numbers: Any,
    edge: int,
    call_seconds: float,
    should_stop: Callable[[], bool] | None,
) -> dict[str, Matrix]:
    micro_rows, micro_columns = -(-left.count // edge), -(-right.count // edge)
    pairs = [
        (i, j) for i in range(micro_rows) for j in range(i if right is left else 0, micro_columns)
    ]
    entry = network.entry(left.grid, right.grid)
    shape = (micro_rows * edge, micro_columns * edge, *entry)
    result = {name: np.zeros(shape, left.x.dtype) for name in network.kernels}
    run = pair_pass(network, left.grid, right.grid, edge)
    most = micro_tiles_per_call(edge, entry)
    done, step = 0, 1
    while done < len(pairs):
        if should_stop is not None and should_stop():
            raise Stopped
        started = perf_counter()
        chunk = pairs[done : done + step]
        listed = np.zeros((most, 2), np.int32)
        listed[: len(chunk)] = chunk
        out = run(left.x, left.chain, right.x, right.chain, numbers, listed, len(chunk))
        for name, total in result.items():
            _paste(total, np.asarray(out[name])[: len(chunk)], chunk, edge)
        done += len(chunk)
        # Only the argument `count` changes: nothing is compiled again, and no number depends on it.
        pace = call_seconds / max(perf_counter() - started, 1e-6)
        step = max(1, min(most, 2 * step, int(step * pace)))
    return {name: total[: left.count, : right.count] for name, total in result.items()}


def _paste(total: Matrix, parts: Matrix, chunk: Sequence[tuple[int, int]], edge: int) -> None:
    for (i, j), part in zip(chunk, parts, strict=True):
        total[i * edge : (i + 1) * edge, j * edge : (j + 1) * edge] = part


def _symmetric(k: Matrix, own: Matrix) -> Matrix:
    """A symmetric tile, (n, n) or (n, n, P, P), from its upper triangle and its own kernels."""
    matrix = k.copy()
    lower = np.tril_indices(len(k), -1)
    matrix[lower] = mirrored(k)[lower]
    matrix[np.arange(len(k)), np.arange(len(k))] = own
    return matrix
