"""The record of a job at its beginning, as it is stored."""

import json
from typing import Any

from service import tracing
from service.jobs.blueprint import Blueprint
from service.logs import request_id
from service.records import KernelRequest
from service.settings import Settings


def first_fields(
    tenant: str, job_id: str, request: KernelRequest, drawn: Blueprint, reused: int,
    moment: float, settings: Settings,
) -> dict[str, Any]:  # fmt: skip
    """The stored fields of a new job, of which `reused` tiles are cached already."""
    plan, method = drawn.plan, request.method.model_dump()
    task = {
        "architecture": request.architecture.digest,
        "dtype": request.dtype,
        "outputs": ",".join(sorted(request.outputs)),
        "form": request.form,
        "method": json.dumps(method, sort_keys=True),
        "landmarks": drawn.landmarks,
        "request": request_id(),
        "trace": tracing.here(),
    }
    inputs = {"x1": request.inputs1.digest()}
    if request.inputs2 is not None:
        inputs["x2"] = request.inputs2.digest()
    return {
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
        "task": json.dumps(task),
    }
