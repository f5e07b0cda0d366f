"""Diagnostics and previews of a finished kernel job."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.linalg import eigvalsh, svdvals

from kernels.inputs import Inputs
from kernels.method import parse_method
from kernels.predict.diagnosis import diagnose
from service.answers.kernel_values import KernelValues
from service.answers.maker import Workshop
from service.queue.tasks import Asked, Compute
from service.store import keys

# Rows of each of two groups whose kernels are computed again in float64.
SPOT_ROWS = 3
# Rows and columns that a preview shows, evenly spaced; their eigenvalues take about a second.
PREVIEW_ROWS = 1024


class DiagnosticsRecipe:
    """`diagnostics`: JSON, as bytes."""

    names = ("diagnostics",)

    def __init__(self, workshop: Workshop, kernel: KernelValues, compute: Compute) -> None:
        self._workshop = workshop
        self._kernel = kernel
        self._compute = compute

    async def needed(self) -> list[KernelValues]:
        """The one kernel job that is examined."""
        return [self._kernel]

    async def make(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The document, and nothing else that is known; raises Evicted."""
        record, checks = self._kernel.layout.record, await self._spot_check()
        document: dict[str, Any] = {}
        for output in record.outputs:
            found: dict[str, Any] = {}
            if record.symmetric:
                matrix = await self._kernel.whole(output)
                diagnosis, _ = await self._workshop.run(diagnose, matrix)
                found = asdict(diagnosis)
            document[output] = found | {"spot_check": checks.get(output)}
        return {"diagnostics": as_bytes(json.dumps(document).encode())}, {}

    async def _spot_check(self) -> dict[str, Any]:
        """The largest difference between entries as served and the same computed in float64,
        relative to the largest of these entries."""
        record, plan = self._kernel.layout.record, self._kernel.layout.plan
        if record.dtype != "float32" or record.exactness != "exact":
            return {}
        service, tenant = self._workshop.service, record.tenant
        stored, _ = await service.records.layout(keys.ref(tenant, record.id))
        shelf = self._workshop.shelf
        architecture = await shelf.architecture(tenant, record.architecture)
        tile = plan.tiles[-1]
        diagonal = plan.is_diagonal(tile)
        rows1, index1 = _some(await shelf.rows(tenant, stored["rows1"][tile.row]))
        rows2, index2 = _some(await shelf.rows(tenant, stored["rows2"][tile.col]))
        asked = Asked(record.outputs, "matrix", parse_method(record.method))
        exact = await self._workshop.run(
            self._compute,
            architecture, rows1, None if diagonal else rows2, None, asked,
            self._workshop.should_stop,
        )  # fmt: skip
        found: dict[str, Any] = {}
        for output in record.outputs:
            served = await self._kernel.tile(tile.index, output)
            difference = served[np.ix_(index1, index2)] - exact.values[output]
            scale = float(np.abs(exact.values[output]).max()) or 1.0
            found[output] = {
                "entries": int(difference.size),
                "largest_relative_error": float(np.abs(difference).max()) / scale,
            }
        return found


class PreviewRecipe:
    """`preview`: a PNG image, as bytes."""

    names = ("preview",)

    def __init__(self, workshop: Workshop, kernel: KernelValues) -> None:
        self._workshop = workshop
        self._kernel = kernel

    async def needed(self) -> list[KernelValues]:
        """The one kernel job that is examined."""
        return [self._kernel]

    async def make(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The image, and nothing else that is known; raises Evicted."""
        # Matplotlib takes longer to import than the rest of a worker, and few of them draw.
        from service.answers.picture import Panel, draw

        record = self._kernel.layout.record
        rows, cols = _spaced(record.n1), _spaced(record.n2)
        panels: list[Panel] = []
        for output in record.outputs:
            matrix = await self._sample(output, rows, cols)
            spectrum = await self._workshop.run(_spectrum, matrix, record.symmetric)
            panels.append(Panel(output, matrix, (record.n1, record.n2), spectrum))
        image = await self._workshop.run(draw, panels, record.symmetric)
        return {"preview": as_bytes(image)}, {}

    async def _sample(self, output: str, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Some rows and columns of a result."""
        found: list[np.ndarray] = []
        start = 0
        async for run in self._kernel.stripes(output):
            own = rows[(rows >= start) & (rows < start + len(run))] - start
            found.append(run[np.ix_(own, cols)])
            start += len(run)
        return np.concatenate(found)


def as_bytes(data: bytes) -> np.ndarray:
    """Bytes as the array that the tile store keeps."""
    return np.frombuffer(data, np.uint8)


def _some(inputs: Inputs) -> tuple[Inputs, np.ndarray]:
    """A few of the inputs, spread over all of them, in float64; and which."""
    index = np.unique(np.linspace(0, len(inputs) - 1, SPOT_ROWS).round().astype(int))
    taken = inputs.take(index.tolist())
    return Inputs(taken.x.astype(np.float64), taken.mask), index


def _spaced(length: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, min(length, PREVIEW_ROWS)).round().astype(int))


def _spectrum(matrix: np.ndarray, symmetric: bool) -> np.ndarray:
    """Eigenvalues, or singular values of what is not symmetric; descending."""
    if symmetric:
        values = eigvalsh((matrix + matrix.T) / 2, driver="ev", check_finite=False)
        return np.asarray(values)[::-1]
    return np.asarray(svdvals(matrix, check_finite=False))
