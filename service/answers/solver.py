"""A prediction: from its kernel jobs and targets to arrays, in float64 on a worker's threads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from kernels.predict import gaussian_process, gradient_flow, leave_one_out, ridge
from kernels.predict.factor import Factor
from kernels.predict.gradient_flow import Flow
from kernels.predict.model import (
    Absolute,
    GaussianProcess,
    GradientFlow,
    LeaveOneOut,
    Model,
    Relative,
)
from kernels.predict.targets import Targets
from service.answers import advice
from service.answers.factors import Factors, Run
from service.answers.kernel_values import KernelValues

MODEL: TypeAdapter[Model] = TypeAdapter(Model)


@dataclass(frozen=True)
class Training:
    """What training gave, before any test input is looked at.

    `weights` are what a mean is linear in, (n, k); `posterior` gives the spread, which is multiplied
    by `scale`.
    """

    posterior: Factor | Flow
    weights: np.ndarray
    facts: dict[str, Any]
    scale: float = 1.0


class Solver:
    """One prediction."""

    def __init__(
        self,
        work: Mapping[str, Any],
        targets: np.ndarray,
        kernels: Mapping[str, KernelValues],
        factors: Factors,
        run: Run,
    ) -> None:
        self._model = MODEL.validate_python(work["model"])
        self._outputs: list[str] = work["outputs"]
        self._prior: str = work["prior"]
        labels = work["labels"]
        self._targets = Targets(targets, work["flat"], tuple(labels) if labels else None)
        self._kernels = kernels
        self._factors = factors
        self._run = run
        self._spread = bool({"variance", "covariance"} & set(self._outputs))

    async def roles_needed(self) -> list[str]:
        """The kernel jobs whose tiles will be read; a kept factor spares the training kernel."""
        model, others = self._model, [role for role in self._kernels if role != "train"]
        if isinstance(model, GradientFlow):
            kept = not self._spread and await self._factors.spectrum_kept(model.kernel)
        else:
            # A search has yet to say which factor it leads to.
            kept = not isinstance(model.diag_reg, LeaveOneOut) and (
                await self._factors.cholesky_kept(model.kernel, model.diag_reg)
            )
        return others if kept else ["train", *others]

    async def solve(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays by name, and what the receipt says of how they came about."""
        training = await self._train()
        arrays: dict[str, np.ndarray] = {}
        facts = training.facts
        arrays["mean"], variance = await self._by_rows(training)
        variance *= training.scale
        if "covariance" in self._outputs:
            covariance = await self._covariance(training)
            covariance *= training.scale
            variance = np.diagonal(covariance).copy()
            arrays["covariance"] = covariance
        if "variance" in self._outputs:
            # Rounding may leave a little less than nothing; how often is told.
            facts["variance_clipped"] = int(np.sum(variance < 0))
            arrays["variance"] = np.maximum(variance, 0)
        if "classes" in self._outputs:
            arrays["classes"] = self._targets.classes(arrays["mean"])
        if self._targets.flat:
            arrays["mean"] = arrays["mean"][:, 0]
        return {name: arrays[name] for name in self._outputs}, facts

    async def _train(self) -> Training:
        model = self._model
        diag_reg, search = await self._diag_reg()
        if isinstance(model, GradientFlow):
            return await self._flow(model, diag_reg, search)
        kept = await self._factors.cholesky(model.kernel, diag_reg, self._read_train)
        factor, inverse_diagonal = kept.value.factor, kept.value.inverse_diagonal
        y = self._targets.values
        weights = await self._run(ridge.dual_weights, factor, y)
        facts: dict[str, Any] = {
            "factorisation": {"type": "cholesky", "reused": kept.reused},
            **_regularisation(factor.diag_reg, factor.jitter, kept.mean_diagonal, search),
        }
        if not isinstance(model, GaussianProcess):
            facts["loo"] = {"mse": leave_one_out.score(weights, inverse_diagonal).mse}
            return Training(factor, weights, facts)
        best = leave_one_out.output_scale(weights, inverse_diagonal)
        scale = best if model.output_scale == "loo" else model.output_scale
        scored = leave_one_out.score(weights, inverse_diagonal, scale)
        facts["loo"] = {"mse": scored.mse, "log_density": scored.log_density}
        facts["output_scale"] = scale
        facts["log_marginal_likelihood"] = gaussian_process.log_marginal_likelihood(
            factor, weights, y, scale
        )
        if self._spread:
            facts["warnings"] = [*facts["warnings"], *advice.on_scale(scale, best)]
        return Training(factor, weights, facts, scale)

    async def _flow(
        self, model: GradientFlow, diag_reg: Absolute | Relative, search: dict[str, Any]
    ) -> Training:
        kept = await self._factors.spectrum(model.kernel, self._read_train)
        relative = isinstance(diag_reg, Relative)
        absolute = diag_reg.value * (kept.mean_diagonal if relative else 1)
        flow = gradient_flow.flow_until(kept.value, absolute, model.until)
        weights = await self._run(flow.apply, self._targets.values)
        facts: dict[str, Any] = {
            "factorisation": {"type": "spectrum", "reused": kept.reused},
            **_regularisation(absolute, flow.jitter, kept.mean_diagonal, search),
        }
        if model.time == "infinity":
            # The end of the flow is kernel ridge, whose left-out errors have a closed form.
            scored = leave_one_out.score(weights, flow.inverse_diagonal)
            facts["loo"] = {"mse": scored.mse}
        return Training(flow, weights, facts)

    async def _diag_reg(self) -> tuple[Absolute | Relative, dict[str, Any]]:
        """The regularisation, searched for where that was asked, and what the search found."""
        asked = self._model.diag_reg
        if not isinstance(asked, LeaveOneOut):
            return asked, {}
        kept = await self._factors.spectrum(self._model.kernel, self._read_train)
        model = self._model
        choice = await self._run(
            leave_one_out.choose,
            kept.value,
            self._targets.values,
            asked.grid,
            asked.criterion,
            model.output_scale if isinstance(model, GaussianProcess) else 1.0,
        )
        scores = [
            item and (item.mse if asked.criterion == "mse" else item.log_density)
            for item in choice.scores
        ]
        search = {"criterion": asked.criterion, "grid": list(asked.grid), "scores": scores}
        return Absolute(value=choice.diag_reg), {"search": search}

    async def _read_train(self) -> np.ndarray:
        return await self._kernels["train"].whole(self._model.kernel)

    async def _by_rows(self, training: Training) -> tuple[np.ndarray, np.ndarray]:
        """Mean (m, k), and variance (m,) where it is wanted and not part of a covariance."""
        cross, kernel = self._kernels["cross"], self._model.kernel
        means: list[np.ndarray] = []
        variances: list[np.ndarray] = []
        alone = self._spread and "covariance" not in self._outputs
        prior = await self._prior_diagonal() if alone else np.empty(0)
        flowing = alone and isinstance(training.posterior, Flow)
        nngp = await self._kernels["train"].whole("nngp") if flowing else np.empty(0)
        others = cross.stripes("nngp")
        start = 0
        async for rows in cross.stripes(kernel):
            means.append(await self._run(ridge.predict, rows, training.weights))
            own = prior[start : start + len(rows)]
            start += len(rows)
            if flowing:
                # Both kernels are cut into the same stripes.
                others_rows = await anext(others)
                parts = (training.posterior, rows, others_rows, nngp, own)
                variances.append(await self._run(gradient_flow.ensemble_variance, *parts))
            elif alone:
                parts = (training.posterior, rows, own)
                variances.append(await self._run(gaussian_process.posterior_variance, *parts))
        return np.concatenate(means), np.concatenate(variances) if alone else np.empty(0)

    async def _covariance(self, training: Training) -> np.ndarray:
        cross = await self._kernels["cross"].whole(self._model.kernel)
        prior = await self._kernels["test"].whole(self._prior)
        if isinstance(training.posterior, Factor):
            return await self._run(
                gaussian_process.posterior_covariance, training.posterior, cross, prior
            )
        others = await self._kernels["cross"].whole("nngp")
        nngp = await self._kernels["train"].whole("nngp")
        return await self._run(
            gradient_flow.ensemble_covariance, training.posterior, cross, others, nngp, prior
        )

    async def _prior_diagonal(self) -> np.ndarray:
        prior = await self._kernels["test"].whole(self._prior)
        return prior if prior.ndim == 1 else np.diagonal(prior).copy()


def _regularisation(
    absolute: float, jitter: float, mean_diagonal: float, search: dict[str, Any]
) -> dict[str, Any]:
    relative = absolute / mean_diagonal
    return {
        "diag_reg": {"value": absolute, "relative": relative, **search},
        "jitter": jitter,
        "mean_diagonal": mean_diagonal,
        "warnings": advice.on_search(relative, search["search"]["grid"]) if search else [],
    }
