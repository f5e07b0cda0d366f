"""Bodies that mean no good, written by hand, and seeded damage to good ones."""

import copy
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from service.contract.examples import EXAMPLES

DENSE: dict[str, Any] = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
JSON, NPY, FORM = "application/json", "application/x-npy", "multipart/form-data; boundary=x"
ZEROS = "0" * 32


@dataclass(frozen=True)
class Shot:
    """One request."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])


def npy(array: Any) -> bytes:
    """What numpy.save writes."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def lying(
    shape: str, data: bytes = b"\0" * 16, descr: str = "'<f4'", fortran: str = "False"
) -> bytes:
    """A `.npy` whose header says whatever it is told to say."""
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def form(parts: dict[str, bytes]) -> bytes:
    """A multipart body with the boundary of FORM."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n'
        % (name.encode(), value)
        for name, value in parts.items()
    )
    return body + b"--x--\r\n"


ARRAYS: list[bytes] = [
    b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00\x00\x00", b"\x93NUMPY\x01\x00\xff\xff{",
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", b"\x93NUMPY\x03\x00\x10\x00\x00\x00" + b"\xff" * 16,
    lying("(1000000000,)"), lying("(1000000000, 1000000000)"), lying("(9999999999999999999999,)"),
    lying("(-1, 4)"), lying("(-2, -2)"), lying("(True, 4)"), lying("(2.0, 2)"), lying("()"), lying("4"),
    lying("(" + "1, " * 40 + ")"), lying("(0,)", b""), lying("(4, 0)", b""), lying("(0, 1000000000)", b""),
    lying("(2, 2)", b"\0" * 15), lying("(2, 2)", b"\0" * 17), lying("(4, 1)", b"\0" * 16, "'|O'"),
    lying("(1,)", b"\x80\x04K\x01.", "'|O'"), lying("(2,)", descr="'<c8'"), lying("(1,)", descr="'<U4'"),
    lying("(2,)", descr="'<M8[s]'"), lying("(1,)", descr="[('a', '<f8'), ('b', '<f8')]"),
    lying("(2,)", descr="'<f99999'"), lying("(16,)", descr="'|V1'"), lying("(2, 2)", descr="'<f4', 'x': 1"),
    lying("(2, 2)", fortran="'yes'"), lying("(2, 2)", fortran="__import__('os').abort()"),
    lying("[2, 2]"), lying("(" * 5000 + ")" * 5000), lying("(2, 2)" + " " * 60000),
    lying("(2, 2)", np.full(4, np.nan, "<f4").tobytes()), lying("(2, 2)", np.full(4, np.inf, "<f4").tobytes()),
    b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    b"PK\x03\x04" + b"\0" * 100, b"\x1f\x8b\x08" + b"\0" * 100, b"\x93NUMPY\x01\x00" + b"\0" * 1000,
]  # fmt: skip
TEXTS: list[bytes] = [
    b"", b" ", b"null", b"[]", b"0", b'"x"', b"{", b"{}", b"[" * 100_000, b'{"a":' * 50_000, b"NaN",
    b'{"x1": [[NaN]]}', b'{"x1": [[1e999]]}', b'{"x1": [[-Infinity]]}', b'{"x1": [], "x1": []}',
    b'{"a": "\xff"}', b'{"\\ud800": 1}', b'{"x1": [[' + b"1" * 5000 + b"]]}", b"\xef\xbb\xbf{}",
    b'{"x1": ' + b"[" * 60 + b"]" * 60 + b"}", b"\0" * 1000, b"{}" * 1000, b'{"__proto__": {}}',
    b'{"x1": [' + b"[]," * 300_000 + b"[]]}", b'{"x1": [[' + b"1," * 300_000 + b"1]]}",
    "{\"x1\": \"\u202e\U0001f4a5\"}".encode(), b'{"x1": 1e400, "y": -0.0, "z": 1E+2}', b"\xfe\xff\0{\0}",
]  # fmt: skip
NETWORKS: list[Any] = [
    {"layers": [{"type": "repeat", "times": 10**9, "layers": [{"type": "dense"}]}]},
    {"layers": [{"type": "repeat", "times": 50, "layers": [
        {"type": "repeat", "times": 50, "layers": [
            {"type": "repeat", "times": 50, "layers": [{"type": "dense"}, {"type": "relu"}]}]}]}]},
    {"layers": [{"type": "dense", "w_std": 1e308}] * 300}, {"layers": []}, {"layers": {}}, {"layers": [[]]},
    {"layers": [{"type": "dense", "w_std": -1}]}, {"layers": [{"type": "dense", "w_std": "nan"}]},
    {"layers": [{"type": "conv", "window": [10**9], "padding": "circular"}]},
    {"layers": [{"type": "conv", "window": [3] * 500}]}, {"layers": [{"type": "eval('1')"}]},
    {"layers": [{"type": "parallel", "merge": "sum", "branches": [[]] * 5000}]}, None, "dense", 1, [],
]  # fmt: skip
PATHS: list[str] = [
    "/v1/kernels/../../etc/passwd", "/v1/kernels/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/v1//kernels", "//v1/kernels",
    "/v1/kernels/", "/v1/kernels/%00", "/v1/kernels/%ff%fe", "/v1/kernels/" + "k" * 4000, "/v1/kernels/*",
    "/v1/kernels/k:layout", "/v1/kernels/kgramd:secret:default", "/v1/kernels/%0d%0aX-Evil:%201",
    "/v1/datasets/..", "/v1/datasets/d%3A0", "/v1/datasets/{id}/parts/-1", "/v1/datasets/x/parts/99999999999999999999",
    "/v1/datasets/x/parts/%D9%A1", f"/v1/kernels/k{ZEROS}/zarr/{ZEROS}/../../secret",
    f"/v1/kernels/k{ZEROS}/zarr/%00/zarr.json",
    "/v1/kernels?limit=-1", "/v1/kernels?limit=1e9", "/v1/kernels?limit=" + "9" * 400, "/v1/kernels?cursor=%00",
    "/v1/kernels?cursor=" + "A" * 3000, "/v1/kernels?limit=1&limit=2", "/v1/predictions?cursor=%F0%9F%92%A5",
    "/v1/limits?x=%", "/healthz/../readyz", "/metrics%20", "/openapi.json/x", "/%", "/v1/layers#x", "/.git/config",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate, br"},
    {"Prefer": "wait=-1"}, {"Prefer": "wait=99999999999999999999"}, {"Prefer": "wait=nan"}, {"Prefer": ",;=,"},
    {"Prefer": "wait=" + "9" * 5000}, {"Idempotency-Key": ""},
    {"Idempotency-Key": "k" * 6000}, {"Idempotency-Key": '"'},
    {"Authorization": "Bearer"}, {"Authorization": "Basic " + "A" * 4000}, {"Authorization": "Bearer \xe9"},
    {"X-Request-Id": "a b\tc"}, {"X-Request-Id": "x" * 5000}, {"traceparent": "00-zz-zz-zz"}, {"Accept": "*/" * 900},
    {"Accept": ";q=2,,,q"}, {"Accept": "text/html;q=nan"}, {"Range": "bytes=-"}, {"Range": "bytes=9-1,0-" + "9" * 300},
    {"If-None-Match": '"' * 999}, {"If-None-Match": "*"}, {"If-Range": "W/x"}, {"Last-Event-ID": "\xff0-0"},
    {"Last-Event-ID": "99999999999999999999-1"}, {"Content-Digest": "sha-256=::"}, {"Content-Digest": "x" * 3000},
    {"Content-Type": ""}, {"Content-Type": "application/json; charset=utf-7"}, {"Content-Type": "a" * 4000},
    {"Content-Type": "multipart/form-data"}, {"Content-Type": 'multipart/form-data; boundary="'},
    {"Content-Type": "multipart/form-data; boundary=\xff"}, {"Host": ""}, {"Host": "evil\\@x"}, {"Cookie": "a" * 4000},
    {"X-Forwarded-For": "' or 1=1 --"}, {"X-HTTP-Method-Override": "DELETE"}, {"Expect": "200-maybe"},
]  # fmt: skip
POSTS = [
    "/v1/kernels",
    "/v1/predictions",
    "/v1/architectures",
    "/v1/estimates",
    "/v1/bounds",
    "/v1/datasets",
]
GOOD: list[tuple[str, Any]] = [
    ("/v1/kernels", EXAMPLES["KernelBody"]),
    ("/v1/estimates", EXAMPLES["KernelBody"]),
    ("/v1/predictions", EXAMPLES["PredictionBody"]),
    ("/v1/architectures", EXAMPLES["ArchitectureBody"]),
    ("/v1/bounds", EXAMPLES["BoundsBody"]),
    ("/v1/datasets", EXAMPLES["OpenDatasetBody"]),
]
ODD: list[Any] = [
    None, True, 0, -1, 1, 10**9, 2**63, 10**400, 1e-320, 1e308, -0.5, "", "dense", "\0", "../..", "nan", [], {},
    [[]], [[[[[]]]]], [[1], [2, 3]], ["a"], {"type": "dense"}, {"dataset": "x"}, {"layers": []}, "1" * 9000, [0] * 3000,
]  # fmt: skip


def by_hand() -> list[Shot]:
    """Every crafted body at every place that reads one, every odd path and every odd header."""
    shots = [Shot("POST", path, text, {"Content-Type": JSON}) for path in POSTS for text in TEXTS]
    request = json.dumps({"architecture": DENSE}).encode()
    for data in ARRAYS:
        shots.append(Shot("POST", "/v1/datasets", data, {"Content-Type": NPY}))
        shots.append(Shot("PUT", f"/v1/datasets/u{ZEROS}/parts/0", data, {"Content-Type": NPY}))
        for parts in (
            {"x1": data},
            {"x1": npy(np.eye(2)), "mask1": data},
            {"x1": data, "x2": data},
        ):
            body = form({"request": request} | parts)
            shots.append(Shot("POST", "/v1/kernels", body, {"Content-Type": FORM}))
        shots.append(
            Shot(
                "POST", "/v1/bounds", form({"request": b"{}", "w_q": data}), {"Content-Type": FORM}
            )
        )
    for network in NETWORKS:
        for path in POSTS[:4]:
            for size in ({"x1": [[1.0, 2.0]]}, {"input_shape": [10**9, 10**9]}):
                body = json.dumps({"architecture": network} | size).encode()
                shots.append(Shot("POST", path, body, {"Content-Type": JSON}))
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
    shots += [Shot(method, path) for path in PATHS for method in methods]
    good = json.dumps(EXAMPLES["KernelBody"]).encode()
    for headers in HEADERS:
        shots.append(Shot("POST", "/v1/kernels", good, {"Content-Type": JSON} | headers))
        shots += [
            Shot("GET", path, headers=headers)
            for path in ("/v1/kernels", f"/v1/kernels/k{ZEROS}/nngp")
        ]
    return shots


def damaged(random: Random) -> Iterator[Shot]:
    """Good requests with something broken, for ever."""
    array = npy(random.random() * np.eye(3, dtype="float32"))
    request = json.dumps({"architecture": DENSE}).encode()
    while True:
        draw = random.random()
        if draw < 0.5:
            path, good = random.choice(GOOD)
            body = copy.deepcopy(good)
            for _ in range(random.randint(1, 3)):
                _break(body, random)
            yield Shot("POST", path, json.dumps(body).encode(), {"Content-Type": JSON})
        elif draw < 0.65:
            path, good = random.choice(GOOD)
            yield Shot(
                "POST", path, _garble(json.dumps(good).encode(), random), {"Content-Type": JSON}
            )
        elif draw < 0.85:
            yield Shot("POST", "/v1/datasets", _garble(array, random), {"Content-Type": NPY})
        else:
            body = form({"request": request, "x1": array, "x2": array})
            yield Shot("POST", "/v1/kernels", _garble(body, random), {"Content-Type": FORM})


def _break(value: Any, random: Random) -> None:
    """Replace, remove or repeat something at a random depth."""
    while True:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not places:
            return
        place = random.choice(places)
        inner = value[place]
        if isinstance(inner, dict | list) and inner and random.random() < 0.75:
            value = inner
            continue
        change = random.random()
        if change < 0.7:
            value[place] = copy.deepcopy(random.choice(ODD))
        elif change < 0.85:
            del value[place]
        elif isinstance(value, list):
            value.append(copy.deepcopy(inner))
        else:
            value[random.choice(["type", "width", "w_std", "x1", "method"])] = copy.deepcopy(inner)
        return


def _garble(data: bytes, random: Random) -> bytes:
    """Flip, cut, insert or repeat bytes."""
    body = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(body) + 1)
        change = random.random()
        if change < 0.4 and at < len(body):
            body[at] ^= 1 << random.randrange(8)
        elif change < 0.6:
            body[at : at + random.randint(1, 40)] = b""
        elif change < 0.8:
            body[at:at] = random.randbytes(random.randint(1, 20))
        else:
            body[at:at] = body[max(0, at - random.randint(1, 60)) : at]
    return bytes(body)
