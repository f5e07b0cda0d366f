"""Everything that the fields of a request can get wrong: one problem document, the right pointer,
nothing left behind."""

import copy
import json
from typing import Any

import pytest

from .conftest import ATTENTION, DENSE, problem

X = [[1.0, 2.0], [0.5, 1.0]]
SEQUENCES = [[[1.0], [2.0]], [[0.5], [1.0]]]


def changed(path: str, value: Any, base: dict[str, Any] = ATTENTION) -> dict[str, Any]:
    """The architecture with one parameter of one layer set."""
    architecture = copy.deepcopy(base)
    number, name = path.split("/")
    architecture["layers"][int(number)][name] = value
    return {"architecture": architecture, "x1": SEQUENCES}


CONV2D = {"layers": [{"type": "conv", "window": [3, 3]}, {"type": "global_avg_pool"}]}
DEEP: dict[str, Any] = {"type": "dense"}
for _ in range(30):
    DEEP = {"type": "repeat", "times": 1, "layers": [DEEP]}

BODIES: list[tuple[str, Any, str]] = [
    ("not an object", [1], ""),
    ("null", None, ""),
    ("empty", {}, "/architecture"),
    ("no architecture", {"x1": X}, "/architecture"),
    ("no x1", {"architecture": DENSE}, "/x1"),
    ("unknown field", {"architecture": DENSE, "x1": X, "x3": 1}, "/x3"),
    ("x1 null", {"architecture": DENSE, "x1": None}, "/x1"),
    ("x1 number", {"architecture": DENSE, "x1": 5}, "/x1"),
    ("x1 string", {"architecture": DENSE, "x1": "ab"}, "/x1"),
    ("ragged", {"architecture": DENSE, "x1": [[1, 2], [3]]}, "/x1/1"),
    ("string element", {"architecture": DENSE, "x1": [[1, "2"]]}, "/x1/0/1"),
    ("boolean element", {"architecture": DENSE, "x1": [[1, True]]}, "/x1/0/1"),
    ("null element", {"architecture": DENSE, "x1": [[1, None]]}, "/x1/0/1"),
    ("object element", {"architecture": DENSE, "x1": [[1, {}]]}, "/x1/0/1"),
    ("too large an integer", {"architecture": DENSE, "x1": [[1, 10**400]]}, "/x1/0/1"),
    ("overflow of float32", {"architecture": DENSE, "x1": [[1, 1e39]]}, "/x1"),
    ("rank 1", {"architecture": DENSE, "x1": [1, 2]}, "/x1"),
    ("rank 6", {"architecture": DENSE, "x1": [[[[[[1]]]]]]}, "/x1"),
    ("rank 9", {"architecture": DENSE, "x1": [[[[[[[[[1]]]]]]]]]}, "/x1" + "/0" * 8),
    ("empty batch", {"architecture": DENSE, "x1": []}, "/x1"),
    ("no channels", {"architecture": DENSE, "x1": [[], []]}, "/x1"),
    ("x2 of other channels", {"architecture": DENSE, "x1": X, "x2": [[1.0]]}, "/x2"),
    ("x2 of other rank", {"architecture": DENSE, "x1": X, "x2": SEQUENCES}, "/x2"),
    ("mask of vectors", {"architecture": DENSE, "x1": X, "mask1": [True, True]}, "/mask1"),
    ("mask without x2", {"architecture": DENSE, "x1": X, "mask2": [[True]]}, "/mask2"),
    ("mask shape", {"architecture": ATTENTION, "x1": SEQUENCES, "mask1": [[True, True]]}, "/mask1"),
    (
        "mask of numbers",
        {"architecture": ATTENTION, "x1": SEQUENCES, "mask1": [[1, 0], [1, 1]]},
        "/mask1/0/0",
    ),
    (
        "a row all masked",
        {"architecture": ATTENTION, "x1": SEQUENCES, "mask1": [[True, True], [False, False]]},
        "/mask1",
    ),
    ("dataset unknown", {"architecture": DENSE, "x1": {"dataset": "d0"}}, "/x1/dataset"),
    ("dataset path trick", {"architecture": DENSE, "x1": {"dataset": "a:0"}}, "/x1/dataset"),
    ("dataset number", {"architecture": DENSE, "x1": {"dataset": 5}}, "/x1/dataset"),
    ("dataset and more", {"architecture": DENSE, "x1": {"dataset": "a", "b": 1}}, "/x1/b"),
    ("dtype", {"architecture": DENSE, "x1": X, "dtype": "float16"}, "/dtype"),
    ("outputs empty", {"architecture": DENSE, "x1": X, "outputs": []}, "/outputs"),
    ("outputs unknown", {"architecture": DENSE, "x1": X, "outputs": ["cov"]}, "/outputs/0"),
    ("outputs twice", {"architecture": DENSE, "x1": X, "outputs": ["ntk", "ntk"]}, "/outputs"),
    ("form", {"architecture": DENSE, "x1": X, "form": "triangle"}, "/form"),
    (
        "diagonal of two lengths",
        {"architecture": DENSE, "x1": X, "x2": [X[0]], "form": "diagonal"},
        "/x2",
    ),
    (
        "positions that are gone",
        {"architecture": DENSE, "x1": X, "form": "positions"},
        f"/architecture/layers/{len(DENSE['layers']) - 1}",
    ),
    ("method", {"architecture": DENSE, "x1": X, "method": {"type": "guess"}}, "/method"),
    (
        "method field",
        {"architecture": DENSE, "x1": X, "method": {"type": "exact", "a": 1}},
        "/method/a",
    ),
    ("architecture a list", {"architecture": [], "x1": X}, "/architecture"),
    ("no layers", {"architecture": {}, "x1": X}, "/architecture"),
    ("layers empty", {"architecture": {"layers": []}, "x1": X}, "/architecture/layers"),
    (
        "layer unknown",
        {"architecture": {"layers": [{"type": "lstm"}]}, "x1": X},
        "/architecture/layers/0/type",
    ),
    ("layer field unknown", changed("0/width", 3), "/architecture/layers/0/width"),
    ("negative std", changed("0/w_std", -1.0), "/architecture/layers/0/w_std"),
    ("huge std", changed("0/w_std", 1e999), "/architecture/layers/0/w_std"),
    ("std a string", changed("0/w_std", "1"), "/architecture/layers/0/w_std"),
    ("std a boolean", changed("0/w_std", True), "/architecture/layers/0/w_std"),
    ("mechanism unknown", changed("2/mechanism", "flash"), "/architecture/layers/2/mechanism"),
    ("nested too deep", {"architecture": {"layers": [DEEP]}, "x1": X}, None),
    ("attention on vectors", {"architecture": ATTENTION, "x1": X}, "/architecture/layers/2"),
    (
        "2-D window on a sequence",
        {"architecture": CONV2D, "x1": SEQUENCES},
        "/architecture/layers/0/window",
    ),
    ("positions left", {"architecture": DENSE, "x1": SEQUENCES}, "/architecture/layers/2"),
]


@pytest.mark.parametrize(("body", "pointer"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
async def test_a_bad_request_is_pointed_at_and_leaves_nothing(client, left_behind, body, pointer):
    # json= would refuse NaN and infinities itself.
    content = json.dumps(body).replace("Infinity", "1e999")
    headers = {"Content-Type": "application/json"}
    response = await client.post("/v1/kernels", content=content, headers=headers)
    document = problem(response, 422)
    if pointer is not None:
        assert document.get("pointer") == pointer, document
    assert await left_behind() == set()


async def test_ids_that_are_none(client):
    for name in ("k0", "a:layout", "..", "%2e%2e", "a%00b", "é", "x" * 500, "a%0ab"):
        for url in (f"/v1/kernels/{name}", f"/v1/kernels/{name}/ntk", f"/v1/datasets/{name}"):
            problem(await client.get(url), 404)
        problem(await client.delete(f"/v1/kernels/{name}"), 404)
        problem(await client.patch(f"/v1/kernels/{name}", json={"state": "cancelled"}), 404)


async def test_paths_and_methods_that_are_none(client):
    problem(await client.get("/nothing"), 404)
    problem(await client.get("/v1/kernels/"), 404)
    problem(await client.get("/docs"), 404)
    other = problem(await client.get("/v1/kernels/k0/nngp.npy"), 404)
    assert "expected 'nngp', 'ntk'" in other["detail"]
    response = await client.put("/v1/kernels/k0")
    problem(response, 405)
    assert response.headers["allow"] == "GET, PATCH, DELETE, HEAD"
    response = await client.delete("/v1/kernels")
    problem(response, 405)
    assert response.headers["allow"] == "GET, POST, HEAD"
    for name in ("zarr", "extensions"):
        response = await client.get(f"/v1/kernels/k0/{name}")
        assert "known: POST" in problem(response, 405)["detail"]
        assert response.headers["allow"] == "POST"
        assert (await client.head(f"/v1/kernels/k0/{name}")).status_code == 405


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1000", "limit=x", "cursor=%00", "cursor=a:b", "page=1"]
)
async def test_bad_pages(client, query):
    document = problem(await client.get(f"/v1/kernels?{query}"), 422)
    assert document["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("body", [{}, {"state": "running"}, {"state": "cancelled", "why": 1}, []])
async def test_bad_changes_of_state(client, body):
    location = (await client.post("/v1/kernels", json={"architecture": DENSE, "x1": X})).headers[
        "location"
    ]
    problem(await client.patch(location, json=body), 422)


@pytest.mark.parametrize(
    "shape", [[], [0], [-1], [1.5], ["8"], [2**40, 2**40], [1] * 9, "8", [True]]
)
async def test_bad_input_shapes(client, shape):
    body = {"architecture": DENSE, "input_shape": shape}
    document = problem(await client.post("/v1/architectures", json=body), 422)
    assert document["pointer"].startswith("/input_shape")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"architecture": None}, "expected an object; got null"),
        ({"architecture": []}, "expected an object; got []"),
        ({"outputs": True}, "expected a valid list; got true"),
        ({"method": {"type": None}}, "unknown type null;"),
    ],
)
async def test_mistakes_are_told_in_the_words_of_json(client, changes, told):
    body = {"architecture": DENSE, "x1": [[1.0]]} | changes
    assert told in problem(await client.post("/v1/kernels", json=body), 422)["detail"]
