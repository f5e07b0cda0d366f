"""Jobs whose kernels have standard errors, made and fetched."""

import io
from typing import Any

import httpx
import numpy as np

WAIT = {"Prefer": "wait=60"}
RESULTS = ("nngp", "nngp_stderr", "ntk", "ntk_stderr")


async def estimated(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """A job that has succeeded, as `POST /v1/kernels` answers it."""
    response = await client.post("/v1/kernels", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded", response.text
    return response.json()


async def results(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, np.ndarray]:
    """Its kernels and their standard errors."""
    found = {}
    for name in RESULTS:
        answer = await client.get(job["links"][name])
        assert answer.status_code == 200, answer.text
        found[name] = np.load(io.BytesIO(answer.content))
    return found
