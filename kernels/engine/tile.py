"""One tile of a result, from the rows of its two groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import numpy.typing as npt

from kernels.architecture import Architecture
from kernels.demand import Demand, plan_pair
from kernels.engine.additive import Parts
from kernels.engine.additive_pairs import AdditivePairs, own_kernels
from kernels.engine.backend import micro_tile_edge, policy
from kernels.engine.diagnosis import check_finite, check_not_vanished
from kernels.engine.network import Network
from kernels.engine.pairs import Pairs
from kernels.engine.schedule import ShouldStop
from kernels.engine.workspace import Workspace
from kernels.estimate.jackknife import estimate_and_error
from kernels.estimate.shared import Shared
from kernels.inputs import Form, Inputs
from kernels.layers.chain import grid_after, structure_of
from kernels.layers.layer import Layer
from kernels.layers.mixed_inputs import with_mixed_inputs
from kernels.layers.readout import Flatten
from kernels.method import EXACT, Additive, Method, MonteCarlo
from kernels.plan.groups import filled_group
from kernels.plan.memory import TileMemory, tile_memory
from kernels.plan.placement import symmetric
from kernels.plan.work import Work
from kernels.result import TileResult, largest

Matrix = npt.NDArray[Any]


def compute_tile(
    architecture: Architecture,
    rows1: Inputs,
    rows2: Inputs | None,
    *,
    outputs: Sequence[str],
    form: Form = "matrix",
    method: Method = EXACT,
    landmarks: Inputs | None = None,
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
        method: how they are computed. An estimate, by the method or by a layer of the network,
            adds "nngp_stderr" and "ntk_stderr".
        landmarks: those of the whole result, where the network needs some
            (kernels/plan/landmarks.py).
        workspace: threads and one-input results shared with other tiles; None for this thread
            alone.
        should_stop: asked between compiled calls, a fraction of a second apart.

    Returns:
        for each output an array of the inputs' dtype: (len(rows1), len(rows2)), exactly symmetric
        with an exact diagonal where rows2 is None; (len(rows1),) for "diagonal"; with the grids
        of x and x' at the network's end as further axes for "positions". Beside them the largest
        error of what approximates.

    Raises:
        KernelError: it takes more memory than the workspace has.
        Stopped: `should_stop` said so.
        NumericsError: an entry is not finite, or an input's kernel with itself has vanished.
    """
    workspace = workspace or Workspace()
    sides = [rows1] if rows2 is None else [rows1, rows2]
    grids = [(len(side), side.grid) for side in sides]
    needed = needs(architecture, grids, rows1, outputs=outputs, form=form, method=method)
    with workspace.tile(needed, sides, should_stop):
        if isinstance(method, MonteCarlo):
            return _drawn(architecture, rows1, rows2, outputs, method, should_stop)
        with jax.enable_x64(rows1.dtype == "float64"):
            layers = with_mixed_inputs(architecture.expanded, method)
            shared = Shared.of(layers, landmarks)
            ntk = "ntk" in outputs
            pairs = Pairs.of(layers, rows1, rows2, ntk, form, shared, workspace)
            computed = _computed(pairs, form, method, workspace, should_stop)
            names = method.results(outputs, architecture.exactness)
            tile = {name: computed.values[name] for name in names}
            compute = partial(_of_one_pair, architecture, form, landmarks)
            check_finite(tile, architecture, rows1, rows2, compute)
            if rows2 is None and form != "positions":
                check_not_vanished(tile, architecture, rows1, compute)
        return TileResult(tile, computed.error_estimate)


def needs(
    architecture: Architecture,
    groups: Sequence[tuple[int, tuple[int, ...]]],
    inputs: Inputs,
    *,
    outputs: Sequence[str],
    form: Form,
    method: Method,
) -> TileMemory:
    """The memory that a tile takes.

    Args:
        architecture: the network.
        groups: inputs and their grid, of the rows and of the columns; of the rows alone for a
            group with itself.
        inputs: some of the job, for their channels and dtype.
        outputs: as in `compute_tile`, and so the others.
    """
    channels, itemsize = inputs.x.shape[-1], inputs.x.dtype.itemsize
    kinds = 2 if "ntk" in outputs else 1
    layers = with_mixed_inputs(architecture.expanded, method)
    work = Work(layers, kinds, itemsize, form == "positions", method)
    return _planned(work, tuple(groups), channels)


@lru_cache(256)
def _planned(
    work: Work, groups: tuple[tuple[int, tuple[int, ...]], ...], channels: int
) -> TileMemory:
    """Nearly all tiles of a job take the same."""
    one, *others = (filled_group(work, count, grid, channels) for count, grid in groups)
    chosen = policy(jax.default_backend())
    return tile_memory(work, one, others[0] if others else None, partial(micro_tile_edge, chosen))


def _drawn(
    architecture: Architecture,
    rows1: Inputs,
    rows2: Inputs | None,
    outputs: Sequence[str],
    method: MonteCarlo,
    should_stop: ShouldStop | None,
) -> TileResult:
    """The estimates of random networks of finite width."""
    from kernels.finite.monte_carlo import monte_carlo

    numbers = method.model_dump(exclude={"type"})
    return TileResult(
        monte_carlo(architecture, rows1, rows2, outputs=outputs, should_stop=should_stop, **numbers)
    )


def _computed(
    pairs: Pairs,
    form: Form,
    method: Method,
    workspace: Workspace,
    should_stop: ShouldStop | None,
) -> TileResult:
    """Every kernel of two groups, by whatever name, and the largest errors."""
    error = largest([pairs.left.error_estimate(), pairs.right.error_estimate()])
    if not isinstance(method, Additive) or (parts := Parts.of(pairs.network)) is None:
        return TileResult(_exact(pairs, form, workspace, should_stop), error)
    if form == "diagonal":
        error["additive"] = 0.0
        if not pairs.symmetric:
            return TileResult(pairs.diagonal().read(), error)
        # Those of the matrix, bit by bit, by what is compiled for it.
        return TileResult(own_kernels(parts, pairs, workspace), error)
    additive = AdditivePairs.of(parts, pairs, workspace, should_stop)
    tile, error["additive"] = additive.cross(method.tolerance)
    return TileResult(_with_own(tile, additive.own() if pairs.symmetric else None), error)


def _exact(
    pairs: Pairs, form: Form, workspace: Workspace, should_stop: ShouldStop | None
) -> dict[str, Matrix]:
    """Every kernel of two groups without the additive evaluation."""
    if form == "diagonal":
        return _with_errors(pairs.network, pairs.diagonal().read(), axis=1)
    # Begun before the rest, so that nobody waits for it when that is done.
    begun = pairs.own() if pairs.symmetric else None
    tile = _with_errors(pairs.network, pairs.cross(workspace, should_stop), axis=2)
    own = None if begun is None else _with_errors(pairs.network, begun.read(), axis=1)
    return _by_position(pairs, _with_own(tile, own))


def _with_own(tile: dict[str, Matrix], own: dict[str, Matrix] | None) -> dict[str, Matrix]:
    """Of a group with itself the pairs on both sides of the diagonal, and it between them."""
    if own is None:
        return tile
    return {name: symmetric(kernel, own[name]) for name, kernel in tile.items()}


def _with_errors(network: Network, kernels: dict[str, Matrix], axis: int) -> dict[str, Matrix]:
    """Estimates with their standard errors, where the network has replicates along an axis."""
    if not network.replicates:
        return kernels
    result: dict[str, Matrix] = {}
    for name, replicates in kernels.items():
        result[name], result[f"{name}_stderr"] = estimate_and_error(replicates, axis)
    return result


def _by_position(pairs: Pairs, tile: dict[str, Matrix]) -> dict[str, Matrix]:
    """(n1, n2, P, P') with the grids of both sides at the network's end; (n1, n2) as they are."""
    ends = [grid_after(pairs.network.layers, side.grid) for side in (pairs.left, pairs.right)]
    return {name: k.reshape(*k.shape[:2], *ends[0], *ends[1]) for name, k in tile.items()}


def _of_one_pair(
    architecture: Architecture,
    form: Form,
    landmarks: Inputs | None,
    layers: Sequence[Layer],
    one: Inputs,
    two: Inputs | None,
) -> dict[str, Matrix]:
    """The kernels of a network's first layers, for `check_finite`, in memory that it takes itself: by
    position where the whole network takes every pair of them, else their mean over (p, p)."""
    ends_in: Form = "matrix"
    if grid_after(layers, one.grid) and _every_pair(architecture, one, form):
        ends_in = "positions"
    elif grid_after(layers, one.grid):
        layers = (*layers, Flatten())
    layers = with_mixed_inputs(tuple(layers), EXACT)
    workspace, shared = Workspace(), Shared.of(layers, landmarks)
    with jax.enable_x64(one.dtype == "float64"):
        pairs = Pairs.of(layers, one, two, True, ends_in, shared, workspace)
        return _computed(pairs, ends_in, EXACT, workspace, None).values


def _every_pair(architecture: Architecture, inputs: Inputs, form: Form) -> bool:
    """Whether the kernel of two inputs takes every pair of their positions somewhere."""
    steps = plan_pair(structure_of(architecture.expanded), bool(inputs.grid))
    return form == "positions" or any(step.wanted_in is Demand.FULL for step in steps)
