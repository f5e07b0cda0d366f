"""Whatever JSON is sent, the answer is a job, or one 4xx problem document, and no 5xx."""

import copy
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.contract.examples import EXAMPLES

from .conftest import ATTENTION, DENSE

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 10**9, 2**63, 10**400, 1e-320, 1e308, -0.5, 1.5]),
    st.sampled_from(["", "dense", "relu", "softmax", "float64", "\x00", "é", "../..", "nan"]),
    st.lists(st.sampled_from([0, 1, "a", None, [], {}]), max_size=3),
    st.dictionaries(
        st.sampled_from(["type", "layers", "dataset", "x"]), st.just("dense"), max_size=2
    ),
)
RICH: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "conv", "window": [2], "strides": [1], "padding": "same", "w_std": 1.0},
            {"type": "relu"},
            {
                "type": "repeat",
                "times": 2,
                "layers": [{"type": "dense"}, {"type": "erf", "a": 1.0}],
            },
            {
                "type": "parallel",
                "merge": "sum",
                "branches": [
                    [],
                    [
                        {
                            "type": "attention",
                            "mechanism": {"type": "softmax"},
                            "qk_std": 1.0,
                            "causal": False,
                            "residual": {"weight": 0.5},
                            "positional": {
                                "merge": "concat",
                                "fraction": 0.5,
                                "std": 1.0,
                                "p_norm": 2,
                                "decay": {"type": "rational", "length": 1.0, "power": 1.0},
                            },
                        }
                    ],
                ],
            },
            {"type": "layer_norm", "axes": ["channel"], "eps": 1e-12},
            {"type": "avg_pool", "window": [2], "strides": [2], "padding": "valid"},
            {"type": "flatten"},
        ]
    },
    "x1": [[[1.0, 2.0], [0.5, 1.0], [0.0, 1.0]]],
    "x2": [[[1.0, 2.5], [0.5, 1.0], [0.0, 1.0]]],
    "mask1": [[True, True, False]],
    "outputs": ["ntk"],
    "dtype": "float64",
    "form": "matrix",
    "method": {"type": "exact"},
}
STARTS = [
    RICH,
    EXAMPLES["KernelBody"],
    {"architecture": DENSE, "x1": [[1.0]]},
    {"architecture": ATTENTION, "input_shape": [4, 2]},
    {"architecture": RICH["architecture"], "input_shape": [4, 2]},
    EXAMPLES["BoundsBody"],
    EXAMPLES["PredictionBody"],
    {
        "architecture": DENSE,
        "x_train": [[1.0], [2.0]],
        "y_train": [0, 1],
        "x_test": [[1.5]],
        "task": "classification",
        "model": {"type": "gradient_flow", "time": 1.0, "diag_reg": {"type": "loo", "grid": [1.0]}},
        "outputs": ["classes", "covariance"],
    },
    {"lengths": [2], "gaussian": {"channels": 4, "heads": 2, "failure_probability": 0.1}},
]


PATHS = ["/v1/kernels", "/v1/predictions", "/v1/architectures", "/v1/bounds"]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    return found + [
        place
        for _, key in found
        if isinstance(value[key], dict | list)
        for place in places(value[key])
    ]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid body with one to three places replaced, removed or added."""
    body = copy.deepcopy(draw(st.sampled_from(STARTS)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(body)
        if not found:
            return body
        container, key = draw(st.sampled_from(found))
        change = draw(st.sampled_from(["replace", "remove", "add", "repeat"]))
        if change == "replace":
            container[key] = draw(ODD)
        elif change == "remove" and isinstance(container, dict):
            container.pop(key)
        elif change == "remove":
            del container[key]
        elif change == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(["type", "width", "w_std", "b_std"]))] = draw(ODD)
        elif isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
    return body


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=mutated(), path=st.sampled_from(PATHS))
async def test_any_json_is_taken_or_refused(
    client: httpx.AsyncClient, body: Any, path: str
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code in (200, 202, 400, 413, 422), response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]
