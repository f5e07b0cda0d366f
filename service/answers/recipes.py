"""How each kind of answer is made.

What a kind takes is imported when the first of it is to be made: SciPy is a tenth of a worker's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from service.answers.kernel_values import KernelValues
from service.answers.maker import OpenRecipe, Recipe, Workshop
from service.errors import InputsGone
from service.queue.tasks import AnswerKind, Compute

if TYPE_CHECKING:
    from service.answers.solver import Solver


class PredictionRecipe:
    """Arrays of a prediction, one for each output asked for."""

    def __init__(
        self, names: list[str], kernels: Mapping[str, KernelValues], solver: Solver
    ) -> None:
        self.names = names
        self._kernels = kernels
        self._solver = solver

    async def needed(self) -> list[KernelValues]:
        """Those that the solver reads; none for kernels whose factor is kept."""
        return [self._kernels[role] for role in await self._solver.roles_needed()]

    async def make(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The outputs asked for by name, and the facts of the receipt; raises Evicted."""
        return await self._solver.solve()


async def _prediction(workshop: Workshop) -> Recipe:
    from service.answers.factors import Factors
    from service.answers.solver import Solver

    layout, service, tenant = workshop.layout, workshop.service, workshop.task.tenant
    (digest,) = layout["rows1"]
    rows = await service.inputs.rows(tenant, digest)
    if rows is None:
        raise InputsGone(f"the targets {digest} are no longer stored")
    kernels = await workshop.kernels()
    factors = Factors(
        tenant,
        layout["matrices"]["train"],
        workshop.arrays,
        service.datasets,
        layout["datasets"],
        workshop.run,
    )
    solver = Solver(layout["work"], rows.x, kernels, factors, workshop.run)
    return PredictionRecipe(layout["work"]["outputs"], kernels, solver)


async def _diagnostics(workshop: Workshop, compute: Compute) -> Recipe:
    from service.answers.examiner import DiagnosticsRecipe

    (kernel,) = (await workshop.kernels()).values()
    return DiagnosticsRecipe(workshop, kernel, compute)


async def _preview(workshop: Workshop) -> Recipe:
    from service.answers.examiner import PreviewRecipe

    (kernel,) = (await workshop.kernels()).values()
    return PreviewRecipe(workshop, kernel)


def recipes(compute: Compute) -> dict[AnswerKind, OpenRecipe]:
    """By kind; `compute` computes tiles, for spot checks."""
    return {
        "prediction": _prediction,
        "diagnostics": partial(_diagnostics, compute=compute),
        "preview": _preview,
    }
