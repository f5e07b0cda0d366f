"""The front door: whole kernel matrices, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.architecture import Architecture, parse_architecture
from kernels.compatible import check_job
from kernels.engine.backend import tile_threads
from kernels.engine.tile import compute_tile, needs
from kernels.engine.workspace import Workspace
from kernels.errors import InputError
from kernels.inputs import OUTPUTS, Form, Inputs, read_inputs
from kernels.method import EXACT, Method, parse_method
from kernels.plan.landmarks import choose_landmarks
from kernels.plan.memory import DEFAULT_MEMORY_BYTES, TileMemory
from kernels.plan.placement import place
from kernels.plan.tiles import Tile, TilePlan, plan_tiles
from kernels.result import ErrorEstimate, KernelMatrices, largest


def kernel_matrix(
    architecture: Mapping[str, Any] | Architecture,
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    mask1: npt.ArrayLike | None = None,
    mask2: npt.ArrayLike | None = None,
    outputs: Sequence[str] = ("nngp", "ntk"),
    dtype: npt.DTypeLike = "float32",
    form: Form = "matrix",
    method: Mapping[str, Any] | Method = EXACT,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> KernelMatrices:
    """Infinite-width kernels of every pair of inputs.

    Args:
        architecture: {"layers": [...]} in the vocabulary of docs/layers.md, or its parsed form.
        x1: (n1, d), (n1, T, d), (n1, H, W, C) or (n1, D, H, W, C).
        x2: the same with n2 inputs; left out, the kernel of x1 with itself, symmetric.
        mask1: boolean, the shape of x1 without channels, True = real position.
        mask2: the same for x2.
        outputs: "nngp", "ntk" or both.
        dtype: "float32", or "float64" for full accuracy; np.float32 and np.float64 are these.
        form: "matrix"; "diagonal" for x1[i] with x2[i] only, without computing the rest;
            "positions" for every pair of positions too, of a network that ends with some.
        method: {"type": "exact"}; {"type": "additive", "tolerance"}, faster for attention under
            pointwise layers and a global pool, exact on the diagonal; {"type": "monte_carlo",
            "width", "heads", "samples", "seed"} for the mean over random networks of finite width.
        memory_bytes: what computing may take beside the inputs (once more, where masks let them
            be cut to shorter ones), the result, and compiled code; 4 GiB if left out. It decides
            how much is computed at once and kept for reuse, and no number.

    Returns:
        for each output an (n1, n2) matrix of `dtype` ((n,) for "diagonal", (n1, n2, *grid1, *grid2)
        for "positions"): the same bits that the service returns. An estimate, which monte_carlo
        and some attention layers make, comes with "nngp_stderr" and "ntk_stderr".
        `.error_estimate` of the result says how far off an approximation in the network is, and
        `.warnings` what is allowed but probably not meant.

    Raises:
        SpecError: the architecture is wrong or does not fit the input.
        InputError: an array or mask is wrong.
        NumericsError: a kernel left the range of `dtype`.
        KernelError: a tile needs more than `memory_bytes`; raised before anything is computed.
    """
    job = _Job.of(architecture, (x1, x2), (mask1, mask2), outputs, dtype, form, method)
    with Workspace(tile_threads(workers=1), memory_bytes) as workspace:
        for needed in job.needs():
            workspace.refuse(needed)
        return job.compute(workspace)


def memory_needed(
    architecture: Mapping[str, Any] | Architecture,
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    mask1: npt.ArrayLike | None = None,
    mask2: npt.ArrayLike | None = None,
    outputs: Sequence[str] = ("nngp", "ntk"),
    dtype: npt.DTypeLike = "float32",
    form: Form = "matrix",
    method: Mapping[str, Any] | Method = EXACT,
) -> int:
    """The least `memory_bytes` that `kernel_matrix` takes with the same arguments.

    Raises:
        SpecError, InputError: as `kernel_matrix`.
    """
    job = _Job.of(architecture, (x1, x2), (mask1, mask2), outputs, dtype, form, method)
    return max(needed.alone for needed in job.needs())


@dataclass(frozen=True)
class _Job:
    """What was asked for, read and checked, and the tiles that it is cut into.

    Attributes:
        network: the network.
        inputs1: the rows.
        inputs2: the columns; None for X against X.
        outputs: "nngp", "ntk" or both, in the order asked for.
        method: how they are computed.
        plan: the tiles.
        warnings: what is allowed but probably not meant.
    """

    network: Architecture
    inputs1: Inputs
    inputs2: Inputs | None
    outputs: tuple[str, ...]
    method: Method
    plan: TilePlan
    warnings: list[str]

    @classmethod
    def of(
        cls,
        architecture: Mapping[str, Any] | Architecture,
        x: tuple[npt.ArrayLike, npt.ArrayLike | None],
        masks: tuple[npt.ArrayLike | None, npt.ArrayLike | None],
        outputs: Sequence[str],
        dtype: npt.DTypeLike,
        form: Form,
        method: Mapping[str, Any] | Method,
    ) -> _Job:
        """Reads the arguments of `kernel_matrix`; raises what it says."""
        wanted = tuple(dict.fromkeys([outputs] if isinstance(outputs, str) else outputs))
        if not wanted or not set(wanted) <= set(OUTPUTS):
            raise InputError(
                f"expected outputs among {list(OUTPUTS)}, got {list(wanted)}", "/outputs"
            )
        if x[1] is None and masks[1] is not None:
            raise InputError("mask2 was given without x2", "/mask2")
        network, how = parse_architecture(architecture), parse_method(method)
        inputs1 = read_inputs(x[0], masks[0], dtype=dtype, name="x1")
        inputs2 = None if x[1] is None else read_inputs(x[1], masks[1], dtype=dtype, name="x2")
        warnings = check_job(network, inputs1, inputs2, form, how)
        plan = plan_tiles(network, inputs1, inputs2, form, how)
        return cls(network, inputs1, inputs2, wanted, how, plan, warnings)

    def needs(self) -> Iterator[TileMemory]:
        """What the tiles take in memory, each kind once."""
        for groups in {self._shapes(tile) for tile in self.plan.tiles}:
            yield needs(
                self.network,
                groups,
                self.inputs1,
                outputs=self.outputs,
                form=self.plan.form,
                method=self.method,
            )

    def _shapes(self, tile: Tile) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Inputs and grid of a tile's two groups, or of the one that it has with itself."""
        one, two = self.plan.groups1[tile.row], self.plan.groups2[tile.col]
        sides = [one] if self.plan.is_diagonal(tile) else [one, two]
        return tuple((len(side.rows), side.grid) for side in sides)

    def compute(self, workspace: Workspace) -> KernelMatrices:
        """All tiles, several at once, put together."""
        plan, inputs1 = self.plan, self.inputs1
        columns = inputs1 if self.inputs2 is None else self.inputs2
        rows_of = cache(lambda group: inputs1.take(group.rows, group.grid))
        columns_of = rows_of if plan.symmetric else cache(lambda g: columns.take(g.rows, g.grid))
        landmarks = choose_landmarks(self.network, inputs1, self.inputs2, self.method)
        names = self.method.results(self.outputs, self.network.exactness)
        result = {name: np.empty(plan.shape, inputs1.dtype) for name in names}

        def run(tile: Tile) -> ErrorEstimate:
            made = compute_tile(
                self.network,
                rows_of(plan.groups1[tile.row]),
                None if plan.is_diagonal(tile) else columns_of(plan.groups2[tile.col]),
                outputs=sorted(self.outputs),
                form=plan.form,
                method=self.method,
                landmarks=landmarks,
                workspace=workspace,
            )
            for name, matrix in result.items():
                place(matrix, plan, tile, made.values[name])
            return made.error_estimate

        # One more than computes, so that none of the threads waits for a tile to be placed.
        with ThreadPoolExecutor(workspace.threads + 1) as tiles:
            error = largest(tiles.map(run, plan.tiles))
        return KernelMatrices(result, error, self.warnings)
