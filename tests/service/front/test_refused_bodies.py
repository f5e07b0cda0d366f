"""Bodies that are not what they say: text that is no JSON, arrays that lie, forms with wrong parts."""

import json

import numpy as np
import pytest

from .conftest import ATTENTION, DENSE, problem

X = [[1.0, 2.0], [0.5, 1.0]]

TEXTS: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 400),
    ("half an object", b'{"architecture": ', 400),
    ("NaN", b'{"x1": [[NaN]]}', 400),
    ("Infinity", b'{"x1": [[-Infinity]]}', 400),
    ("a name twice", b'{"x1": [], "x1": []}', 400),
    ("not UTF-8", b'{"a": "\xff"}', 400),
    ("lone surrogate", b'{"\\ud800": 1}', 400),
    ("nested 100,000 deep", b"[" * 100_000, 422),
    ("an integer of 5,000 digits", b'{"x1": [[' + b"1" * 5000 + b"]]}", 400),
]


@pytest.mark.parametrize(("text", "status"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
@pytest.mark.parametrize("path", ["/v1/kernels", "/v1/architectures"])
async def test_what_is_not_json_is_refused(client, left_behind, path, text, status):
    headers = {"Content-Type": "application/json"}
    problem(await client.post(path, content=text, headers=headers), status)
    assert await left_behind() == set()


def lying(shape: str, data: bytes, descr: str = "<f4") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


ARRAYS: list[tuple[str, bytes]] = [
    ("text", b"1,2,3"),
    ("nothing", b""),
    ("lying shape", lying("(1000000000, 1000000000)", b"\0" * 16)),
    ("short", lying("(2, 2)", b"\0" * 15)),
    ("long", lying("(2, 2)", b"\0" * 17)),
    ("pickle", lying("(1,)", b"\x80\x04K\x01.", "|O")),
    ("complex", lying("(1, 1)", b"\0" * 8, "<c8")),
    ("text elements", lying("(1, 1)", b"\0" * 16, "<U4")),
    ("empty", lying("(0, 2)", b"")),
    ("vector", lying("(4,)", b"\0" * 16)),
    ("nan", lying("(1, 1)", np.float32(np.nan).tobytes())),
]


@pytest.mark.parametrize("data", [a[1] for a in ARRAYS], ids=[a[0] for a in ARRAYS])
async def test_bad_npy_is_refused_wherever_it_comes(client, left_behind, data):
    request = json.dumps({"architecture": DENSE})
    form = await client.post("/v1/kernels", data={"request": request}, files={"x1": data})
    assert problem(form, 422)["pointer"] == "/x1"
    body = await client.post(
        "/v1/datasets", content=data, headers={"Content-Type": "application/x-npy"}
    )
    assert problem(body, 422)["pointer"] == ""
    part = await client.post("/v1/datasets", files={"x": data})
    assert problem(part, 422)["pointer"] == "/x"
    assert await left_behind() == set()


async def test_bad_masks_in_parts(client, left_behind, npy):
    request = json.dumps({"architecture": ATTENTION})
    for mask in (np.ones((2, 2)), np.ones((2, 3), bool), np.zeros((2, 2), bool)):
        files = {"x1": npy(np.ones((2, 2, 1))), "mask1": npy(mask)}
        response = await client.post("/v1/kernels", data={"request": request}, files=files)
        assert problem(response, 422)["pointer"] == "/mask1"
        files = {"x": files["x1"], "mask": files["mask1"]}
        response = await client.post("/v1/datasets", files=files)
        assert problem(response, 422)["pointer"] == "/mask"
    assert await left_behind() == set()


async def test_forms_with_wrong_parts(client, left_behind, npy):
    request = json.dumps({"architecture": DENSE, "x1": X})
    part = ("x.npy", npy(X))
    for fields, files, pointer in (
        ({}, {"x1": part}, "/request"),
        ({"request": request}, {"x1": part}, "/x1"),
        ({"request": request}, {"x9": part}, "/x9"),
        ({"request": request}, {"../../x1": part}, "/..~1..~1x1"),
    ):
        response = await client.post("/v1/kernels", data=fields, files=files)
        assert problem(response, 422)["pointer"] == pointer
    twice = [("x1", part), ("x1", part)]
    response = await client.post("/v1/kernels", data={"request": request}, files=twice)
    assert problem(response, 422)["pointer"] == "/x1"
    assert await left_behind() == set()


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=" + "x" * 71, b"", 400),
        ("multipart/form-data; boundary=x", b"nothing of the kind", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="x1"\r\n\r\nab',
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 50 + b"\r\n--x--\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nA: " + b"b" * 5000 + b"\r\n\r\n--x--\r\n",
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nab\r\n--x--\r\n", 422),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"a=b", 415),
    ],
)
async def test_bodies_that_are_not_what_they_say(
    client, left_behind, content_type, content, status
):
    headers = {"Content-Type": content_type}
    problem(await client.post("/v1/kernels", content=content, headers=headers), status)
    assert await left_behind() == set()


async def test_compressed_bodies_are_refused_unread(client):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    document = problem(await client.post("/v1/kernels", content=b"\x1f\x8b", headers=headers), 415)
    assert "Content-Encoding" in document["detail"]


async def test_no_content_type_is_415(client):
    document = problem(await client.post("/v1/kernels", content=b"{}"), 415)
    assert "application/json" in document["detail"]
    assert "multipart/form-data" in document["detail"]
