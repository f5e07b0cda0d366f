"""Every operation of openapi.yaml, with what its schema allows and with what it forbids."""

from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from service.contract.openapi import FILE
from tests.hostile.conftest import Target
from tests.hostile.corpus import DENSE

# Of each operation in each mode; there are about thirty operations.
EXAMPLES = 110


@pytest.fixture(scope="module")
def known(target: Target) -> dict[str, str]:
    """Ids of a queued job, a queued prediction and a dataset, so that paths lead somewhere."""
    x = [[1.0, 2.0], [3.0, 4.0]]
    with httpx.Client(base_url=target.url, timeout=60) as client:
        kernel = client.post("/v1/kernels", json={"architecture": DENSE, "x1": x})
        fields = {"x_train": x, "y_train": [0.0, 1.0], "x_test": x}
        prediction = client.post("/v1/predictions", json={"architecture": DENSE} | fields)
        upload = client.post(
            "/v1/datasets", json={"shape": [4, 2], "dtype": "float32", "part_rows": 2}
        )
        return {
            "job_id": kernel.json()["id"],
            "prediction_id": prediction.json()["id"],
            "dataset_id": upload.json()["id"],
        }


@pytest.mark.usefixtures("bounded")
def test_every_operation_answers_whatever_comes(
    target: Target, known: dict[str, str], share: float
) -> None:
    document = schemathesis.openapi.from_path(FILE)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 25
    before = target.tally.total()
    # Making the strategies takes most of the time of a small share: that has every other operation.
    chosen = operations[:: 1 if share == 1 else 2]
    for operation in chosen:
        for mode in GenerationMode:
            fire(operation, mode, target, known, max(2, int(share * EXAMPLES)))
    # Some operations have only one kind of request, or fewer than were asked for.
    assert target.tally.total() - before > max(len(chosen), share * 3000 if share == 1 else 0)


def fire(
    operation: Any, mode: GenerationMode, target: Target, known: dict[str, str], n: int
) -> None:
    """`n` generated requests of one operation, every other one about something that exists."""
    with requests.Session() as session:

        @seed(0)
        @settings(
            max_examples=n, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans())
        def one(case: Any, exists: bool) -> None:
            # A job's events go on until it ends, which none does here.
            if exists and "events" not in operation.path and case.method != "DELETE":
                for name in set(known) & set(case.path_parameters or {}):
                    case.path_parameters[name] = known[name]
            answer = case.call(base_url=target.url, session=session, timeout=60)
            what = f"{case.method} {operation.path} {case.path_parameters} {case.body!r}"[:600]
            headers = httpx.Headers({k: v[0] for k, v in answer.headers.items()})
            target.judge(answer.status_code, headers, answer.content, what)

        try:
            one()
        except Unsatisfiable:
            # Nothing in this operation can be wrong: it takes no parameters and no body.
            assert mode is GenerationMode.NEGATIVE
