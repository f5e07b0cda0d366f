"""Examples of bodies, for openapi.yaml; a test sends every one of them."""

from __future__ import annotations

from typing import Any

ATTENTION: dict[str, Any] = {
    "layers": [
        {"type": "dense", "w_std": 1.4, "b_std": 0.1},
        {"type": "relu"},
        {"type": "attention", "mechanism": "softmax", "qk_std": 1.0},
        {"type": "global_avg_pool"},
        {"type": "dense"},
    ]
}

EXAMPLES: dict[str, Any] = {
    "KernelBody": {
        "architecture": ATTENTION,
        "x1": [[[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]], [[0.3, 0.1], [0.7, 0.2], [0.0, 0.0]]],
        "mask1": [[True, True, True], [True, True, False]],
        "outputs": ["nngp", "ntk"],
        "dtype": "float32",
    },
    "PredictionBody": {
        "architecture": {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]},
        "x_train": [[1.0, 0.5], [0.0, 2.0], [0.3, 0.1]],
        "y_train": [0.2, 1.1, -0.4],
        "x_test": [[0.5, 0.5], [1.0, 1.5]],
        "model": {
            "type": "gaussian_process",
            "kernel": "nngp",
            "diag_reg": {"type": "relative", "value": 0.001},
        },
        "outputs": ["mean", "variance"],
    },
    "ArchitectureBody": {"architecture": ATTENTION, "input_shape": [8, 8]},
    "BoundsBody": {
        "lengths": [16, 128],
        "wq": [[[0.6], [0.2]], [[0.1], [-0.5]]],
        "wv": [[[1.0], [0.0]], [[0.0], [1.0]]],
        "wo": [[0.7, 0.1], [-0.2, 0.4]],
    },
    "ExtensionBody": {"x1": [[[0.2, 0.4], [1.0, 0.0], [0.5, 0.5]]]},
    "OpenDatasetBody": {"shape": [100000, 128, 16], "dtype": "float32", "part_rows": 1024},
    "SealBody": {"state": "sealed"},
    "StateBody": {"state": "cancelled"},
    "Matrix": {"shape": [1, 2], "dtype": "f4", "data": [[1.5, 0.25]]},
    "ProblemDocument": {
        "type": "urn:gramd:problem:invalid-input",
        "title": "An input array is wrong",
        "status": 422,
        "detail": "expected finite numbers at real positions, got nan at [3, 0]",
        "pointer": "/x1",
        "request_id": "5f0c8f6e6d3b4a7f9b1d2c3e4f5a6b7c",
    },
}
