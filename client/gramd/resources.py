"""`client.datasets` and `client.kernels`. `async_resources.py` is made from this file:
python -m client.generate"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import DTypeLike

from gramd import datasets, jobs, kernels, predictions, questions, results, waiting
from gramd.arrays import Array, Inputs
from gramd.connection import Connection
from gramd.datasets import Dataset, DatasetLike
from gramd.jobs import Job, JobLike
from gramd.kernels import Kernels
from gramd.predictions import Prediction
from gramd.progress import Progress, listener
from gramd.retry import Retry


class Datasets:
    """Inputs that several jobs share: `client.datasets`."""

    def __init__(self, connection: Connection, retry: Retry) -> None:
        self._connection = connection
        self._retry = retry

    def create(self, x: Inputs, mask: Any = None, *, part_rows: int | None = None) -> Dataset:
        """Upload inputs; the same content gets the same id, so doing it again is harmless.

        Args:
            x: (n, d), (n, T, d), (n, H, W, C), (n, D, H, W, C), or a list of arrays
                (T_i, d) of differing lengths.
            mask: true where a position is real.
            part_rows: rows of one request. Left out, up to 32 MiB travel in one and more of it in
                parts of a size that the service chooses; a part that is lost is sent again.
        """
        return self._connection.run(datasets.create(x, mask, self._retry, part_rows=part_rows))

    def begin(
        self, x: Array, mask: Array | None = None, *, part_rows: int | None = None
    ) -> Dataset:
        """An open dataset with room for `x`, to be filled by `resume`, now or after a crash."""
        return self._connection.run(datasets.begin(x, mask, self._retry, part_rows))

    def resume(self, dataset: DatasetLike, x: Inputs, mask: Any = None) -> Dataset:
        """Send the parts of an open dataset that are missing, and seal it.

        `x` and `mask` are the whole arrays. Parts that are there are compared with them by their
        digests, and sent again where they differ.
        """
        return self._connection.run(datasets.resume(dataset, x, mask, self._retry))

    def get(self, dataset: DatasetLike) -> Dataset:
        """What is known of a dataset."""
        return self._connection.run(datasets.look(dataset, self._retry))

    def delete(self, dataset: DatasetLike) -> None:
        """Remove a dataset, and the tiles made from it."""
        return self._connection.run(datasets.delete(dataset, self._retry))


class Jobs:
    """What all kinds of job have in common."""

    collection: str

    def __init__(self, connection: Connection, retry: Retry, progress: Progress) -> None:
        self._connection = connection
        self._retry = retry
        self._progress = progress

    def get(self, job: JobLike) -> Job:
        """What is known of a job now."""
        return self._connection.run(jobs.look(self.collection, job, self._retry))

    def architecture(self, job: JobLike) -> dict[str, Any]:
        """The network of a job, {"layers": [...]}, with defaults filled in: what a later call may have
        as its spec. Raises NotFound once the job has expired."""
        return self._connection.run(jobs.architecture(self.collection, job, self._retry))

    def newest(self, limit: int = 50) -> list[Job]:
        """The newest jobs, at most `limit`."""
        return self._connection.run(jobs.page_through(self.collection, self._retry, limit))

    def wait(self, job: JobLike, *, timeout: float | None = None, progress: Progress = None) -> Job:
        """The job when it has ended, however it has: see `Job.check`.

        Raises StillRunning after `timeout` seconds. Connections that are lost meanwhile are taken up
        again.
        """
        heard = listener(self._progress if progress is None else progress)
        return self._connection.run(waiting.wait(self.collection, job, self._retry, heard, timeout))

    def cancel(self, job: JobLike) -> Job:
        """Cancel a job; what is finished of it can still be fetched. Raises Conflict if it has ended."""
        return self._connection.run(jobs.cancel(self.collection, job, self._retry))

    def delete(self, job: JobLike) -> None:
        """Remove a job, cancelling it first if need be."""
        return self._connection.run(jobs.delete(self.collection, job, self._retry))


class KernelJobs(Jobs):
    """Kernel jobs, step by step: `client.kernels`. `client.kernel(...)` does it all in one call."""

    collection = kernels.COLLECTION

    def submit(
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
    ) -> Job:
        """A new job, arguments as for `client.kernel`; it runs whether anybody waits or not."""
        options = kernels.options_of(outputs, dtype, form, method)
        return self._connection.run(
            kernels.submit(spec, x1, x2, mask1, mask2, options, self._retry)
        )

    def extend(
        self,
        job: JobLike,
        x1: Inputs | Dataset | None = None,
        x2: Inputs | Dataset | None = None,
        *,
        mask1: Any = None,
        mask2: Any = None,
    ) -> Job:
        """A new job: the whole matrix of a job's rows followed by new ones, of which only the tiles at
        the border are computed.

        Args:
            x1: new rows; of a matrix of x1 with itself they extend both sides.
            x2: new columns, of a job that has an x2.
            mask1: true where a position of x1 is real; mask2: of x2.
        """
        return self._connection.run(kernels.extend(job, x1, x2, mask1, mask2, self._retry))

    def diagnostics(self, job: JobLike, *, timeout: float | None = None) -> dict[str, Any]:
        """Eigenvalues, condition number, asymmetry and suggested jitter of each result of a job that
        has succeeded, and a float64 spot check of one in float32: `results` by name.

        Waits for the job if it runs. Raises NotFinished after `timeout` seconds.
        """
        return self._connection.run(questions.diagnostics(job, self._retry, timeout))

    def preview(self, job: JobLike, *, timeout: float | None = None) -> bytes:
        """A PNG image of a job that has succeeded: heatmaps and spectra. Raises as `diagnostics`."""
        return self._connection.run(questions.preview(job, self._retry, timeout))

    def zarr(self, job: JobLike) -> str:
        """The URL of a read-only Zarr v3 group of a job that has succeeded, good for an hour; whoever
        has it needs no key."""
        path = self._connection.run(questions.zarr(job, self._retry))
        return f"{self._connection.url}{path}"

    def collect(self, job: JobLike) -> Kernels:
        """All results of a job that has succeeded; raises JobFailed for one that has not."""
        return self._connection.run(results.collect(Kernels, job, self._retry))

    def fetch(
        self,
        job: JobLike,
        output: str,
        *,
        rows: slice | None = None,
        cols: slice | None = None,
        dtype: str | None = None,
    ) -> Array:
        """One result, or part of it, as soon as its rows are finished.

        Args:
            output: "nngp", "ntk", or with "_stderr" where the kernel is estimated.
            rows: slice(a, b) of x1; cols: of x2.
            dtype: "float32" or "float64", the job's own when left out.

        Raises NotFinished, with the seconds to come again after, while they are being computed.
        """
        return self._connection.run(kernels.fetch(job, output, rows, cols, dtype, self._retry))


class PredictionJobs(Jobs):
    """Predictions, step by step: `client.predictions`. `client.predict(...)` does it in one call."""

    collection = predictions.COLLECTION

    def submit(
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
    ) -> Job:
        """A new prediction, arguments as for `client.predict`."""
        options = predictions.options_of(model, task, outputs, dtype, method)
        masks = (mask_train, mask_test)
        return self._connection.run(
            predictions.submit(spec, x_train, y_train, x_test, masks, options, self._retry)
        )

    def collect(self, job: JobLike) -> Prediction:
        """All results of a prediction that has succeeded; raises JobFailed for one that has not."""
        return self._connection.run(results.collect(Prediction, job, self._retry))
