"""POST /v1/bounds: the bounds of kernels.finite.lipschitz over HTTP, and what it refuses."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from kernels.finite.lipschitz import gaussian_norms, lipschitz_bounds, norms_of
from service.requests import bounds as bounds_requests

from .test_refusals import problem

PATH = "/v1/bounds"
Array = np.ndarray[Any, Any]
Npy = Callable[[Any], bytes]


def weights(heads: int = 2, channels: int = 4, size: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(heads)
    shapes = {"wq": (heads, channels, size), "wv": (heads, channels, size)}
    shapes |= {"wo": (heads * size, channels)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


async def test_lists_and_parts_give_the_bounds_of_the_library(
    client: httpx.AsyncClient, npy: Npy
) -> None:
    given, lengths = weights(), [1, 2, 50, 10**9]
    norms = norms_of(*given.values())
    expected = [
        {"length": n, "two": bound.two, "infinity": bound.infinity}
        for n, bound in ((n, lipschitz_bounds(norms, n)) for n in lengths)
    ]
    inline: dict[str, Any] = {name: w.tolist() for name, w in given.items()}
    request = json.dumps({"lengths": lengths})
    parts = {name: npy(w) for name, w in given.items()}
    fortran = parts | {"wo": npy(np.asfortranarray(given["wo"]))}
    answers = [
        await client.post(PATH, json={"lengths": lengths, **inline}),
        await client.post(PATH, files={"request": request, **parts}),
        await client.post(PATH, data={"request": request}, files=fortran),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.json() == answers[0].json()
    body = answers[0].json()
    assert body["bounds"] == expected
    assert body["norms"]["two_q"] == list(norms.two_q)
    assert body["layer"] == {
        "channels": 4,
        "heads": 2,
        "key_channels": 2,
        "value_channels": 2,
        "outputs": 4,
    }
    assert "^4" in body["equations"]["two"]


@pytest.mark.parametrize("failure", [None, 0.01])
async def test_gaussian_weights(client: httpx.AsyncClient, failure: float | None) -> None:
    drawn = {"channels": 64, "heads": 4, "q_std": 0.5, "failure_probability": failure}
    answer = await client.post(PATH, json={"lengths": [10], "gaussian": drawn})
    assert answer.status_code == 200, answer.text
    bound = lipschitz_bounds(gaussian_norms(64, 4, 16, 64, (0.5, 1.0, 1.0), failure), 10)
    found = answer.json()["bounds"][0]
    assert (found["two"], found["infinity"]) == (bound.two, bound.infinity)
    statement = answer.json()["statement"]
    assert ("1 - 0.01" in statement) if failure else ("not upper bounds" in statement)


def body(**changes: Any) -> dict[str, Any]:
    """A good body with fields changed; None takes one out."""
    whole: dict[str, Any] = {"lengths": [3], **{n: w.tolist() for n, w in weights().items()}}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def drawn(**changes: Any) -> dict[str, Any]:
    return {"lengths": [3], "gaussian": {"channels": 4, "heads": 2} | changes}


INF = float("inf")
BAD: list[tuple[str, Any, str]] = [
    ("not an object", [1], ""),
    ("no lengths", body(lengths=None), "/lengths"),
    ("lengths a number", body(lengths=3), "/lengths"),
    ("no length", body(lengths=[]), "/lengths"),
    ("length 0", body(lengths=[2, 0]), "/lengths/1"),
    ("length 2.5", body(lengths=[2.5]), "/lengths/0"),
    ("a huge length", body(lengths=[2**53 + 1]), "/lengths/0"),
    ("too many lengths", body(lengths=[1] * 1001), "/lengths"),
    ("unknown field", body(wk=[[[1.0]]]), "/wk"),
    ("wq missing", body(wq=None), "/wq"),
    ("wo missing", body(wo=None), "/wo"),
    ("neither weights nor gaussian", {"lengths": [3]}, "/wq"),
    ("both", body(gaussian={"channels": 4, "heads": 2}), "/gaussian"),
    ("wq of rank 2", body(wq=[[1.0, 2.0]]), "/wq"),
    ("wq empty", body(wq=[]), "/wq"),
    ("wq ragged", body(wq=[[[1.0, 2.0], [1.0]]]), "/wq/0/1"),
    ("wq of strings", body(wq=[[["a"]]]), "/wq/0/0/0"),
    ("wv of other heads", body(wv=[[[1.0]] * 4]), "/wv"),
    ("wo of other rows", body(wo=[[1.0]] * 3), "/wo"),
    ("infinite weight", body(wo=[[INF] * 4] * 4), "/wo"),
    ("bounds that overflow", body(wq=[[[1e200] * 2] * 4] * 2), "/wq"),
    ("no channels", {"lengths": [3], "gaussian": {"heads": 2}}, "/gaussian/channels"),
    ("heads that do not divide", drawn(heads=3), "/gaussian/heads"),
    ("heads 0", drawn(heads=0), "/gaussian/heads"),
    ("negative std", drawn(q_std=-1), "/gaussian/q_std"),
    ("infinite std", drawn(v_std=INF), "/gaussian/v_std"),
    ("std that overflows", drawn(o_std=1e308, q_std=1e10), "/gaussian"),
    ("certain failure", drawn(failure_probability=1), "/gaussian/failure_probability"),
    ("no failure", drawn(failure_probability=0), "/gaussian/failure_probability"),
    ("a failure too rare", drawn(failure_probability=1e-320), "/gaussian"),
    ("gaussian field unknown", drawn(width=3), "/gaussian/width"),
]


@pytest.mark.parametrize(("value", "pointer"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_a_bad_request_is_pointed_at(
    client: httpx.AsyncClient, left_behind: Any, value: Any, pointer: str
) -> None:
    # json= would refuse infinities itself.
    content = json.dumps(value).replace("Infinity", "1e999")
    headers = {"Content-Type": "application/json"}
    document = problem(await client.post(PATH, content=content, headers=headers), 422)
    assert document["pointer"] == pointer, document
    assert {name for name in await left_behind() if b"secret" not in name} == set()


async def test_bad_parts(client: httpx.AsyncClient, npy: Npy) -> None:
    parts = {name: npy(w) for name, w in weights().items()}
    request = json.dumps({"lengths": [2]}).encode()
    nan = weights()["wv"]
    nan[1, 0, 1] = np.nan
    cases: list[tuple[dict[str, bytes], str]] = [
        (parts, "/request"),
        ({"request": request, "wq": parts["wq"], "wo": parts["wo"]}, "/wv"),
        ({"request": request, **parts, "x1": parts["wq"]}, "/x1"),
        ({"request": request, **parts, "wq": b"no array"}, "/wq"),
        ({"request": request, **parts, "wq": npy(np.array(["a"]))}, "/wq"),
        ({"request": request, **parts, "wq": npy(np.float64(3))}, "/wq"),
        ({"request": request, **parts, "wv": npy(nan)}, "/wv"),
        ({"request": json.dumps(body(wv=None, wo=None)).encode(), **parts}, "/wq"),
    ]
    for files, pointer in cases:
        document = problem(await client.post(PATH, files=files), 422)
        assert document["pointer"] == pointer, document


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MAX_ENTRIES", 47), ("MAX_HEADS", 1)],
)
async def test_layers_that_are_too_large_name_the_limit(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(bounds_requests, limit, value)
    name = f"max_bounds_{limit.removeprefix('MAX_').lower()}"
    bodies = [body()] if limit == "MAX_ENTRIES" else [body(), drawn()]
    for wanted in bodies:
        document = problem(await client.post(PATH, json=wanted), 413)
        assert (document["limit"], document["limit_name"]) == (value, name)
        assert document["actual"] == value + 1
    assert name in (await client.get("/v1/limits")).json()["limits"]


async def test_query_parameters_and_other_types_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{PATH}?n=3", json=body())).status_code == 422
    content = {"content": b"x", "headers": {"Content-Type": "text/plain"}}
    assert (await client.post(PATH, **content)).status_code == 415
    assert (await client.get(PATH)).status_code == 405
