"""The record of a job at its beginning, as it is stored."""

import json
from collections.abc import Mapping
from typing import Any

from service import tracing
from service.jobs.drafts import Draft
from service.logs import request_id
from service.records import KernelRequest
from service.settings import Settings
from service.store.job_fields import KernelFields


def first_fields(
    tenant: str, job_id: str, request: KernelRequest, draft: Draft, moment: float,
    settings: Settings,
) -> KernelFields:  # fmt: skip
    """The stored fields of a new job. Hashes every byte of the inputs, so it belongs on a thread."""
    plan, method = draft.blueprint.plan, request.method.model_dump()
    reused = len(draft.cached)
    task = {
        "architecture": request.architecture.digest,
        "dtype": request.dtype,
        "outputs": ",".join(sorted(request.outputs)),
        "form": request.form,
        "method": json.dumps(method, sort_keys=True),
        "landmarks": draft.blueprint.landmarks,
        "request": request_id(),
        "trace": tracing.here(),
    }
    inputs = {"x1": request.inputs1.digest()}
    if request.inputs2 is not None:
        inputs["x2"] = request.inputs2.digest()
    fields: KernelFields = {
        "id": job_id,
        "tenant": tenant,
        "state": "queued",
        "extends": request.extends,
        "architecture": request.architecture.digest,
        "dtype": request.dtype,
        "outputs": list(request.outputs),
        "form": request.form,
        "method": method,
        "exactness": request.method.exactness(request.architecture.exactness),
        "shape": list(plan.shape),
        "n1": plan.n1,
        "n2": plan.n2,
        "symmetric": plan.symmetric,
        "tiles_total": len(plan.tiles),
        "tiles_done": reused,
        "tiles_reused": reused,
        "tiles_computed": 0,
        "reused_at_start": reused,
        "created_at": moment,
        "expires_at": moment + settings.job_ttl.total_seconds(),
        "warnings": list(request.warnings),
        "inputs": inputs,
        "queue_task": task,
    }
    if draft.forecast.seconds is not None and draft.forecast.alone is not None:
        fields["expected_s"] = draft.forecast.seconds.p50
        fields["alone_s"] = draft.forecast.alone.p50
    return fields


def add_cached(fields: KernelFields, meta: Mapping[str, Any], moment: float) -> None:
    """Add what is known of a job whose tiles are all there; `meta` is what made the first of them."""
    own = ("shape", "dtype", "seconds", "error_estimate")  # the tile's, not the job's
    fields["state"] = "succeeded"
    fields["started_at"] = fields["finished_at"] = moment
    fields["provenance"] = {name: meta[name] for name in meta if name not in own}
