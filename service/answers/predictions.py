"""Predictions, as the API sees them: kernel jobs of the same tenant, and an answer made of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
from redis.asyncio import Redis

from kernels.inputs import Inputs
from service.answers.admission import check_prediction, shapes_of
from service.answers.answers import Answers, prediction_ref
from service.answers.kernel_jobs import kernel_requests
from service.answers.names import answer_digest, matrix_digest
from service.answers.progress import record_of
from service.answers.records import PredictionRecord, PredictionRequest
from service.errors import UnknownJob
from service.jobs.jobs import Jobs
from service.logs import get_logger
from service.records import JobRecord
from service.settings import Settings
from service.store import keys
from service.store.arrays import ArrayStore, StoredArray
from service.store.connection import ceiling, now, store_with_room
from service.store.inputs import InputStore
from service.store.job_fields import OfPrediction, PredictionFields
from service.store.tenants import Tenants

log = get_logger(__name__)

KIND = "prediction"
# Of one kernel job, of its tenant and id.
Change = Callable[[str, str], Awaitable[object]]


class Predictions:
    """The predictions of all tenants. One per process."""

    def __init__(
        self,
        *,
        answers: Answers,
        arrays: ArrayStore,
        jobs: Jobs,
        inputs: InputStore,
        tenants: Tenants,
        settings: Settings,
        tiles_client: Redis,
        client: Redis,
    ) -> None:
        self._answers = answers
        self._arrays = arrays
        self._jobs = jobs
        self._inputs = inputs
        self._tenants = tenants
        self._settings = settings
        self._tiles_client = tiles_client
        self._client = client

    async def new_id(self) -> str:
        """An id for a new prediction."""
        return keys.new_id(keys.PREDICTION, await now(self._client))

    async def create(
        self, tenant: str, request: PredictionRequest, answer_id: str | None = None
    ) -> PredictionRecord:
        """Create the kernel jobs, and the prediction that waits for them.

        `answer_id` is one of `new_id`, for who needs to know it beforehand.
        Raises OverLimit when a limit is passed; then nothing is left behind.
        """
        check_prediction(request, self._settings, await ceiling(self._tiles_client))
        made: dict[str, JobRecord] = {}
        ids: list[str] = []
        try:
            for role, wanted in (await asyncio.to_thread(kernel_requests, request)).items():
                # Known beforehand: one may be made, and only the news of that be lost.
                ids.append(await self._jobs.new_id())
                made[role] = await self._jobs.create(tenant, wanted, ids[-1])
            async with store_with_room(self._client):
                answer_id = answer_id or await self.new_id()
                record = await self._create(tenant, answer_id, request, made)
                log.info("prediction created", job=record.id)
                return record
        except BaseException:
            # Whatever went wrong, a request that is not answered leaves no work behind.
            await self._each_kernel(tenant, ids, self._jobs.delete)
            raise

    async def _create(
        self, tenant: str, answer_id: str, request: PredictionRequest, made: dict[str, JobRecord]
    ) -> PredictionRecord:
        targets = Inputs(request.targets.values, None)
        rows = await asyncio.to_thread(targets.digest)
        document = (request.architecture.digest, request.architecture.canonical_json())
        secret = await self._tenants.secret(tenant)
        whole = {
            role: matrix_digest(secret, await self._jobs.layout(record))
            for role, record in made.items()
        }
        work = {
            "task": request.task,
            "model": request.model.canonical(),
            "outputs": list(request.outputs),
            "flat": request.targets.flat,
            "labels": request.targets.labels,
            "prior": request.prior_kernel,
        }
        layout = {
            "architecture": request.architecture.digest,
            "rows1": [rows],
            "rows2": [],
            "kernels": {role: record.id for role, record in made.items()},
            "matrices": whole,
            "result": answer_digest(secret, KIND, {"kernels": whole, "targets": rows, **work}),
            "datasets": list(request.datasets),
            "work": work,
        }
        inputs = await asyncio.to_thread(_digests, request) | {"y_train": rows}
        fields = {**_first_fields(request, layout, inputs), "result": layout["result"]}
        ref = keys.ref(tenant, answer_id)
        async with self._inputs.put(tenant, answer_id, document, {rows: targets}):
            try:
                await self._answers.start(ref, KIND, fields, layout, listed=True)
                return await self.get(tenant, answer_id)
            except BaseException:
                # Else it would fail without its kernels, and be what its Idempotency-Key made.
                await self._answers.delete(ref)
                raise

    async def get(self, tenant: str, answer_id: str) -> PredictionRecord:
        """The record; raises UnknownJob."""
        ref = prediction_ref(tenant, answer_id)
        return await self._record(tenant, await self._answers.fields(ref))

    async def wait(self, tenant: str, answer_id: str, seconds: float) -> PredictionRecord:
        """The record as soon as it has ended, or after `seconds`; raises UnknownJob."""
        ref = prediction_ref(tenant, answer_id)
        return await self._record(tenant, await self._answers.wait(ref, seconds))

    async def list(
        self, tenant: str, cursor: str | None, limit: int
    ) -> tuple[list[PredictionRecord], str | None]:
        """A page, newest first, and the cursor of the next."""
        ids, following = await self._answers.page(tenant, cursor, limit)
        found: list[PredictionRecord] = []
        gone: list[str] = []
        for answer_id in ids:
            try:
                found.append(await self.get(tenant, answer_id))
            except UnknownJob:
                gone.append(answer_id)
        await self._answers.forget(tenant, gone)
        return found, following

    async def cancel(self, tenant: str, answer_id: str) -> PredictionRecord:
        """Stop it and its kernel jobs; what they have finished stays cached. One that has ended
        stays as it is. Raises UnknownJob."""
        record = await self.get(tenant, answer_id)
        await self._answers.cancel(keys.ref(tenant, answer_id))
        if not record.ended:
            await self._each_kernel(tenant, _kernels(record), self._jobs.cancel)
        return await self.get(tenant, answer_id)

    async def delete(self, tenant: str, answer_id: str) -> None:
        """Forget it and its kernel jobs, stopping them first; raises UnknownJob."""
        record = await self.get(tenant, answer_id)
        ref = keys.ref(tenant, answer_id)
        await self._answers.cancel(ref)
        try:
            layout: dict[str, Any] = await self._answers.layout(ref)
        except UnknownJob:  # expired: the record is all that is left
            layout = {"architecture": None, "rows1": []}
        await self._answers.delete(ref)
        await self._inputs.release(tenant, answer_id, layout["architecture"], layout["rows1"])
        await self._each_kernel(tenant, _kernels(record), self._jobs.delete)

    async def base(self, tenant: str, record: PredictionRecord) -> str:
        """The digest of everything that its outputs depend on; raises UnknownJob."""
        return (await self._answers.layout(keys.ref(tenant, record.id)))["result"]

    async def array(
        self, tenant: str, record: PredictionRecord, output: str, seconds: float
    ) -> StoredArray:
        """One output of a prediction that has succeeded; raises TilesMissing, as `Answers.array`."""
        ref = keys.ref(tenant, record.id)
        return await self._answers.array(ref, await self.base(tenant, record), output, seconds)

    async def stripe(self, array: StoredArray, stripe: int) -> np.ndarray | None:
        """The rows of one of its stripes; None when they have just been evicted."""
        return await self._arrays.stripe(array, stripe)

    async def _each_kernel(self, tenant: str, ids: Iterable[str], change: Change) -> None:
        for job_id in ids:
            try:
                await change(tenant, job_id)
            except UnknownJob:
                # Somebody deleted it, or it expired: there is nothing to change.
                continue

    async def _record(self, tenant: str, fields: dict[str, Any]) -> PredictionRecord:
        kernels = {role: await self._kernel(tenant, job) for role, job in fields["kernels"].items()}
        return record_of(cast("PredictionFields", fields), kernels)

    async def _kernel(self, tenant: str, job_id: str) -> JobRecord | None:
        """One of its kernel jobs; None when it is gone."""
        try:
            return await self._jobs.get(tenant, job_id)
        except UnknownJob:
            return None


def _kernels(record: PredictionRecord) -> list[str]:
    """The ids of its kernel jobs."""
    return [kernel.id for kernel in record.kernels.values()]


def _first_fields(
    request: PredictionRequest, layout: Mapping[str, Any], inputs: dict[str, str]
) -> OfPrediction:
    """The stored fields of a new prediction; `inputs` are digests by name."""
    return {
        "architecture": request.architecture.digest,
        "dtype": request.dtype,
        "method": request.method.model_dump(),
        "task": request.task,
        "model": request.model.canonical(),
        "outputs": list(request.outputs),
        "shapes": shapes_of(request),
        "labels": request.targets.labels,
        "kernels": layout["kernels"],
        "inputs": inputs,
        "warnings": list(request.warnings),
    }


def _digests(request: PredictionRequest) -> dict[str, str]:
    return {"x_train": request.train.digest(), "x_test": request.test.digest()}
