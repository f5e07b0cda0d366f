"""From a validated request to named tiles: the plan, the groups' rows, every tile's digest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from kernels.inputs import Inputs
from kernels.plan.landmarks import choose_landmarks
from kernels.plan.tiles import RowGroup, TilePlan, plan_tiles
from service.jobs.digests import tile_digest
from service.records import KernelRequest
from service.store.tiles import far_name, is_far


@dataclass(frozen=True)
class StoredPlan:
    """The texts that keep a plan while its job lives, and the tiles that are still to be asked for."""

    layout: str
    pending: list[str]

    @property
    def nbytes(self) -> int:
        """What they take in the store."""
        return len(self.layout) + sum(map(len, self.pending))


@dataclass(frozen=True)
class Blueprint:
    """A job before anything of it is stored. `digests[t]` names `plan.tiles[t]`; `rows1[g]` is the
    content digest of group g of side 1, `landmarks` that of the inputs frozen with the job ("" for
    networks that need none), and `rows` holds the rows of every such digest. `tile_bytes` is the
    size of one output of the largest tile, `result_bytes` of everything."""

    plan: TilePlan
    digests: tuple[str, ...]
    rows1: tuple[str, ...]
    rows2: tuple[str, ...]
    landmarks: str
    rows: dict[str, Inputs]
    tile_bytes: int
    result_bytes: int

    def far(self) -> "Blueprint":
        """This blueprint with names of tiles in the object store."""
        return replace(self, digests=tuple(far_name(digest) for digest in self.digests))

    @property
    def is_far(self) -> bool:
        """Whether the tiles are in the object store; all of a job's are, or none."""
        return is_far(self.digests[0])

    def bytes_of(self, tiles: Iterable[int]) -> int:
        """The size of the results of these tiles (indices)."""
        entries = [prod(self.plan.tile_shape(tile)) for tile in self.plan.tiles]
        return self.result_bytes * sum(entries[index] for index in tiles) // sum(entries)

    def stored(self, request: KernelRequest, missing: Iterable[int]) -> StoredPlan:
        """What is stored to find the tiles, and the inputs, again, and to compute those that are
        missing. Grows with the tiles, so it belongs on a thread."""
        second = request.inputs1 if request.inputs2 is None else request.inputs2
        layout = json.dumps(
            {
                "architecture": request.architecture.digest,
                "grids": [request.inputs1.grid, second.grid],
                "datasets": request.datasets,
                "plan": self.plan.to_json(),
                "digests": self.digests,
                "rows1": self.rows1,
                "rows2": self.rows2,
                "landmarks": self.landmarks,
            }
        )
        pending = pending_entries(self.plan, self.digests, self.rows1, self.rows2, missing)
        return StoredPlan(layout, pending)


def plan_of(request: KernelRequest) -> TilePlan:
    """Which tiles a request has. Looks at the length of every input, so it belongs on a thread."""
    return plan_tiles(
        request.architecture, request.inputs1, request.inputs2, request.form, request.method
    )


def draw(request: KernelRequest, plan: TilePlan, secret: bytes) -> Blueprint:
    """Name the tiles of a request's plan, of which `check_plan` has said that they are not too many.
    Hashes every byte of the inputs, so it belongs on a thread."""
    method = request.method.model_dump()
    rows: dict[str, Inputs] = {}

    def digests_of(inputs: Inputs, groups: Iterable[RowGroup]) -> tuple[str, ...]:
        names: list[str] = []
        for group in groups:
            taken = inputs.take(group.rows, group.grid)
            names.append(taken.digest())
            rows[names[-1]] = taken
        return tuple(names)

    rows1 = digests_of(request.inputs1, plan.groups1)
    rows2 = rows1 if request.inputs2 is None else digests_of(request.inputs2, plan.groups2)
    landmarks = _landmarks(request, rows)
    digests = tuple(
        tile_digest(
            secret,
            architecture=request.architecture.digest,
            method=method,
            dtype=request.dtype,
            outputs=request.outputs,
            form=request.form,
            rows1=rows1[tile.row],
            rows2=rows2[tile.col],
            shared=plan.is_diagonal(tile),
            landmarks=landmarks or None,
        )
        for tile in plan.tiles
    )
    itemsize = np.dtype(request.dtype).itemsize
    sizes = [prod(plan.tile_shape(tile)) * itemsize for tile in plan.tiles]
    results = request.method.results(request.outputs, request.architecture.exactness)
    result_bytes = sum(sizes) * len(results)
    return Blueprint(plan, digests, rows1, rows2, landmarks, rows, max(sizes), result_bytes)


def _landmarks(request: KernelRequest, rows: dict[str, Inputs]) -> str:
    """The digest of the job's landmarks, which join its rows; "" for networks that need none."""
    chosen = request.landmarks
    if chosen is None:
        sides = request.inputs1, request.inputs2
        chosen = choose_landmarks(request.architecture, *sides, request.method)
    if chosen is None:
        return ""
    digest = chosen.digest()
    rows[digest] = chosen
    return digest


def rows_of(layout: Mapping[str, Any]) -> set[str]:
    """The digests of all rows that a stored layout needs."""
    landmarks = layout.get("landmarks", "")
    return {*layout["rows1"], *layout["rows2"], *([landmarks] if landmarks else [])}


def pending_entries(
    plan: TilePlan,
    digests: Sequence[str],
    rows1: Sequence[str],
    rows2: Sequence[str],
    wanted: Iterable[int],
) -> list[str]:
    """What the dispatcher needs to know of the wanted tiles: JSON [indices, digest, rows1, rows2].

    Tiles of one digest (repeated rows) are one entry. On the diagonal rows2 is "": the worker
    computes the rows against themselves.
    """
    indices: dict[str, list[int]] = {}
    for index in wanted:
        indices.setdefault(digests[index], []).append(index)
    entries: list[str] = []
    for digest, places in indices.items():
        tile = plan.tiles[places[0]]
        other = "" if plan.is_diagonal(tile) else rows2[tile.col]
        entry: list[Any] = [",".join(map(str, places)), digest, rows1[tile.row], other]
        entries.append(json.dumps(entry))
    return entries
