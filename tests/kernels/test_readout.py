"""Attention, linear layers and a pool: one weighted sum a pair, equal to the long way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.demand import Demand, plan_pair
from kernels.matrix import kernel_matrix
from tests.kernels.networks import POOL, RELU, attention, dense, entries, masks

MECHANISMS: dict[str, str | dict[str, Any]] = {
    "softmax": "softmax",
    "relu": "relu",
    "sparsemax": "sparsemax",
    "l2": "l2",
    "linear": "linear",
    "linear_dpfp_sums": {"type": "linear", "feature_map": "dpfp", "normalize": False},
    "delta": {"type": "delta", "feature_map": "elu_plus_one", "beta": 1.3},
}


@pytest.mark.parametrize("name", MECHANISMS)
def test_pooled_positions_are_the_contraction(name: str) -> None:
    mechanism = MECHANISMS[name]
    layers = [dense(), RELU, attention(mechanism), dense(0.7)]
    network = parse_architecture({"layers": [*layers, POOL]})
    steps = plan_pair([layer.split()[0] for layer in network.expanded], positions=True)
    assert [step.wanted_in for step in steps[2:]] == [Demand.READOUT] * 3

    x1, x2 = entries((3, 6, 3), 0), entries((2, 6, 3), 1)
    mask1 = masks("holes", x1.shape)
    assert mask1 is not None
    given = {"mask1": mask1, "dtype": "float64"}
    contracted = kernel_matrix(network, x1, x2, **given)
    kept = kernel_matrix({"layers": layers}, x1, x2, **given, form="positions")
    for output, kernel in kept.items():
        summed = kernel.sum((2, 3)) / (mask1.sum(1)[:, None] * x2.shape[1])
        np.testing.assert_allclose(contracted[output], summed, rtol=1e-12)
