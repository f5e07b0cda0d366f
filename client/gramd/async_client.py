# Made from client.py; change that, then run: python -m client.generate
"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from numpy.typing import DTypeLike

from gramd import kernels, predictions, questions, results
from gramd.arrays import Array, Inputs
from gramd.async_resources import AsyncDatasets, AsyncKernelJobs, AsyncPredictionJobs
from gramd.connection import AsyncConnection
from gramd.datasets import Dataset
from gramd.kernels import Kernels
from gramd.predictions import Prediction
from gramd.progress import Progress
from gramd.retry import Retry


class AsyncClient:
    """A gramd service.

        async with AsyncClient() as client:
            kernel = await client.kernel(network, x)

    url: where it is; left out, GRAMD_URL of the environment, or http://127.0.0.1:8000.
    key: the API key, if the service asks for one; left out, GRAMD_KEY.
    retry: how often calls that may be repeated are.
    progress: whether waiting shows a bar; left out, it does where a person is looking.

    Tasks of one event loop may share a client. Errors are those of `gramd.errors`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retry: Retry | None = None,
        progress: Progress = None,
    ) -> None:
        self._connection = AsyncConnection(url, key)
        self._retry = retry or Retry()
        self._progress = progress
        self.datasets = AsyncDatasets(self._connection, self._retry)
        self.kernels = AsyncKernelJobs(self._connection, self._retry, progress)
        self.predictions = AsyncPredictionJobs(self._connection, self._retry, progress)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.url!r})"

    async def kernel(
        self,
        spec: Mapping[str, Any],
        x1: Inputs | Dataset,
        x2: Inputs | Dataset | None = None,
        *,
        mask1: Any = None,
        mask2: Any = None,
        outputs: Sequence[str] = ("nngp", "ntk"),
        dtype: DTypeLike = "float32",
        form: str = "matrix",
        method: Mapping[str, Any] | str | None = None,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> Kernels:
        """The kernels of an infinitely wide network, from the inputs to the matrices in one call.

        Args:
            spec: the network, `gramd.spec.network(...)` or its JSON.
            x1: inputs (n1, d), (n1, T, d), (n1, H, W, C) or (n1, D, H, W, C); a list
                of arrays (T_i, d) of differing lengths; or a dataset.
            x2: the other side; left out, the matrix is that of x1 with itself, and half the work.
            mask1: true where a position of x1 is real: (n1, T), (n1, H, W) or (n1, D, H, W).
                mask2: of x2.
            outputs: "nngp", "ntk" or both.
            dtype: "float32" or "float64": of the computation and of the result.
            form: "matrix" (n1, n2), "diagonal" (n1) or "positions".
            method: `gramd.spec.method`: exact() if left out, additive(...) or monte_carlo(...).
            progress: True shows a bar, False none; a function is called with the job.
            timeout: seconds to wait; after them StillRunning is raised, and the job goes on.

        Raises InvalidRequest, LimitExceeded, JobFailed, StillRunning, Unreachable.
        """
        options = kernels.options_of(outputs, dtype, form, method)
        submitting = kernels.submit(spec, x1, x2, mask1, mask2, options, self._retry, kernels.FIRST)
        shown = self._progress if progress is None else progress
        return await self._connection.run(
            results.compute(Kernels, submitting, self._retry, shown, timeout)
        )

    async def predict(
        self,
        spec: Mapping[str, Any],
        x_train: Inputs | Dataset,
        y_train: Any,
        x_test: Inputs | Dataset,
        *,
        mask_train: Any = None,
        mask_test: Any = None,
        model: Mapping[str, Any] | str | None = None,
        task: str = "regression",
        outputs: Sequence[str] | None = None,
        dtype: DTypeLike = "float32",
        method: Mapping[str, Any] | str | None = None,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> Prediction:
        """What infinitely wide networks that learnt y_train say of x_test, in one call.

        Args:
            spec: the network, `gramd.spec.network(...)` or its JSON.
            x_train: inputs (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C), a list
                of arrays (T_i, d) of differing lengths, or a dataset; x_test: m of the same kind.
            y_train: targets (n) or (n, outputs); for classification (n) whole numbers, the classes.
            mask_train: true where a position of x_train is real; mask_test: of x_test.
            model: {"type": "gaussian_process"} if left out, "gradient_flow" or "kernel_ridge", with
                parameters such as "time" and "diag_reg" beside the type; docs/client.md has more.
            task: "regression" or "classification".
            outputs: any of "mean", "variance", "covariance" and "classes"; the mean, and the classes
                of a classification, if left out.
            dtype: of the kernels, "float32" or "float64"; all that follows is float64.
            method, progress, timeout: as for `kernel`.

        Raises InvalidRequest, LimitExceeded, JobFailed, StillRunning, Unreachable.
        """
        options = predictions.options_of(model, task, outputs, dtype, method)
        masks, again = (mask_train, mask_test), self._retry
        submitting = predictions.submit(
            spec, x_train, y_train, x_test, masks, options, again, kernels.FIRST
        )
        shown = self._progress if progress is None else progress
        return await self._connection.run(
            results.compute(Prediction, submitting, again, shown, timeout)
        )

    async def estimate(
        self,
        spec: Mapping[str, Any],
        x1: Inputs | Dataset,
        x2: Inputs | Dataset | None = None,
        *,
        mask1: Any = None,
        mask2: Any = None,
        outputs: Sequence[str] = ("nngp", "ntk"),
        dtype: DTypeLike = "float32",
        form: str = "matrix",
        method: Mapping[str, Any] | str | None = None,
    ) -> dict[str, Any]:
        """What `kernel` with these arguments would take: tiles and how many are cached, bytes, seconds
        ("p50", "p90"), and whether it is admitted. Nothing is computed.

        Raises LimitExceeded past max_rows and max_tiles."""
        options = kernels.options_of(outputs, dtype, form, method)
        return await self._connection.run(
            kernels.estimate(spec, x1, x2, mask1, mask2, options, self._retry)
        )

    async def describe(
        self, spec: Mapping[str, Any], input_shape: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """A network's canonical form, digest and warnings, and what it makes of one input of a shape,
        without computing anything.

        Raises InvalidArchitecture, whose `pointer` leads to the mistake.
        """
        return await self._connection.run(questions.describe(spec, input_shape, self._retry))

    async def layers(self) -> dict[str, list[dict[str, Any]]]:
        """The vocabulary: `layers` and `mechanisms`, each with its JSON Schema, equation and source."""
        return await self._connection.run(questions.vocabulary(self._retry))

    async def limits(self) -> dict[str, float]:
        """Every limit in force, by the name that problems use."""
        return await self._connection.run(questions.limits(self._retry))

    async def ready(self) -> bool:
        """Whether the service can compute now: stores reachable, a worker seen."""
        return await self._connection.run(questions.ready(self._retry))

    async def bounds(
        self,
        lengths: Sequence[int],
        *,
        wq: Array | None = None,
        wv: Array | None = None,
        wo: Array | None = None,
        gaussian: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Lipschitz bounds of an L2 attention layer on inputs of these lengths.

        Args:
            lengths: positions of an input.
            wq: (H, D, d_k). wv: (H, D, d_v). wo: (H d_v, outputs).
            gaussian: how weights are drawn, in place of given ones: {"channels": D, "heads": H}.
        """
        options = {"lengths": [int(n) for n in lengths], "gaussian": gaussian}
        weights = {"wq": wq, "wv": wv, "wo": wo}
        return await self._connection.run(questions.bounds(weights, options, self._retry))

    async def close(self) -> None:
        """Close the connections; the jobs go on."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
