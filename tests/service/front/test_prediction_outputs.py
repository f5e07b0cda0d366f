"""A prediction need not have a mean."""

import pytest

from .conftest import DENSE


@pytest.mark.parametrize("outputs", [["variance"], ["covariance"], ["variance", "covariance"]])
async def test_outputs_without_the_mean_are_taken(client, outputs):
    body = {"architecture": DENSE, "x_train": [[1.0]], "y_train": [1.0], "x_test": [[2.0]]}
    response = await client.post("/v1/predictions", json=body | {"outputs": outputs})
    assert response.status_code == 202, response.text
