"""A prediction whose workers are killed: begun again, finished by another, given up after three."""

import signal
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import solve

from kernels.architecture import parse_architecture
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.method import EXACT
from kernels.predict.model import Absolute, GaussianProcess, GradientFlow
from kernels.predict.targets import read_targets
from service.answers.records import PredictionRequest
from service.state import Service

Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Start = Callable[..., subprocess.Popen[bytes]]

NETWORK = {"layers": [{"type": "dense", "b_std": 0.3}, {"type": "erf"}, {"type": "dense"}]}
PATIENCE_S = 60.0
BRIEF = timedelta(seconds=1)


def prediction(n: int, model: GaussianProcess | GradientFlow) -> PredictionRequest:
    """A prediction whose factorisation takes long enough to be interrupted."""
    rng = np.random.default_rng(0)
    x, x_test = rng.standard_normal((n, 5)), rng.standard_normal((20, 5))
    return PredictionRequest(
        architecture=parse_architecture(NETWORK),
        train=read_inputs(x, dtype="float64"),
        test=read_inputs(x_test, dtype="float64"),
        targets=read_targets(np.sin(x[:, 0]), "regression", n),
        task="regression",
        model=model,
        method=EXACT,
        dtype="float64",
        outputs=("mean",),
    )


async def killed_while_solving(
    service: Service, victim: subprocess.Popen[bytes], attempt: int, eventually: Eventually
) -> None:
    """Kill the worker when the prediction's own task has been begun for the attempt-th time."""

    async def begun() -> bool:
        for name in await service.client.keys("gramd:deliveries:default:p*"):
            return int(await service.client.get(name) or 0) == attempt
        return False

    await eventually(begun)
    victim.send_signal(signal.SIGKILL)
    victim.wait()


async def test_killing_the_worker_that_solves_loses_nothing(
    service: Service, start: Start, eventually: Eventually, tmp_path: Path
) -> None:
    request = prediction(1200, GradientFlow(diag_reg=Absolute(value=0.1)))
    victim = start(lease=BRIEF, compile_dir=tmp_path)
    record = await service.predictions.create("default", request)
    await killed_while_solving(service, victim, 1, eventually)
    start(lease=BRIEF, compile_dir=tmp_path)
    ended = await service.predictions.wait("default", record.id, PATIENCE_S)
    assert ended.state == "succeeded", ended.error
    array = await service.predictions.array("default", ended, "mean", 0)
    mean = await service.predictions.stripe(array, 0)
    both = np.concatenate([request.train.x, request.test.x])
    ntk = kernel_matrix(NETWORK, both, dtype="float64")["ntk"]
    n = len(request.train)
    weights = solve(ntk[:n, :n] + 0.1 * np.eye(n), request.targets.values[:, 0], assume_a="pos")
    np.testing.assert_allclose(mean, ntk[n:, :n] @ weights, atol=1e-8)


@pytest.mark.slow
async def test_a_prediction_that_takes_its_workers_down_is_given_up_and_others_go_on(
    service: Service, start: Start, eventually: Eventually, tmp_path: Path
) -> None:
    request = prediction(1200, GradientFlow())
    record = await service.predictions.create("default", request)
    for attempt in range(1, service.settings.max_deliveries + 1):
        victim = start(lease=BRIEF, compile_dir=tmp_path)
        await killed_while_solving(service, victim, attempt, eventually)
    start(lease=BRIEF, compile_dir=tmp_path)
    ended = await service.predictions.wait("default", record.id, PATIENCE_S)
    assert ended.state == "failed"
    assert ended.error is not None
    assert "the prediction was begun 3 times and never finished" in ended.error["detail"]
    # Its kernels were computed, and serve the next one.
    other = await service.predictions.create("default", prediction(1200, GradientFlow(time=1.0)))
    assert other.kernels["train"].state == "succeeded"
    done = await service.predictions.wait("default", other.id, PATIENCE_S)
    assert done.state == "succeeded", done.error
