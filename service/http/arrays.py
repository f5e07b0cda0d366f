"""Arrays on the wire: `.npy` in and out, nested JSON lists in, shortest round-trip JSON out.

The reader trusts nothing: no pickle, no `eval`, no allocation before the header and the number of
bytes that came agree. The writer makes the header alone, so that a matrix can follow it stripe by
stripe.
"""

from __future__ import annotations

import io
import math
import re
import struct
import sys
from itertools import chain
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from service.http.problems import InvalidRequest

MAGIC = b"\x93NUMPY"
# What numpy itself refuses to parse (numpy.lib.format.read_array_header's max_header_size).
MAX_HEADER_BYTES = 10_000
# (n, d), (n, T, d), (n, H, W, C) and 3-D volumes need 5; more is a mistake, and is named as one.
MAX_RANK = 8
# As `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {"max_npy_header_bytes": MAX_HEADER_BYTES, "max_axes": MAX_RANK}
# Kinds of element that stand for real numbers: bool, signed, unsigned and floating. float128
# (itemsize 16) is left out, since its layout differs from machine to machine.
DTYPES = re.compile(r"[<>=|](b1|[iu][1248]|f[248])")

_ENTRY = re.compile(
    r"""\s*(?P<quote>['"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*
        (?: (?P<text>'[^'\\]*'|"[^"\\]*") | (?P<flag>True|False)
          | (?P<shape>\([0-9L,\s]*\)) | (?P<other>[\[({].*) )
        \s*(?:,|(?=\}))""",
    re.VERBOSE | re.DOTALL,
)


def read_npy(data: bytes | bytearray | memoryview, pointer: str) -> np.ndarray:
    """The array of one `.npy` file (format 1.0, 2.0 or 3.0), C-contiguous and in native byte order.

    data: the whole file. pointer: where the file stood in the request, for the problem document.
    Raises InvalidRequest for everything that is not a plain array of real numbers whose header
    tells the truth.
    """
    view = memoryview(data)
    descr, fortran, shape, start = _read_header(view, pointer)
    match = DTYPES.fullmatch(descr)
    if match is None:
        raise InvalidRequest(
            "expected an array of real numbers (bool, int8 to int64, uint8 to uint64, float16 to"
            f" float64), got dtype {descr!r}; convert it first, for instance with"
            " x.astype('float32')",
            pointer=pointer,
        )
    if len(shape) > MAX_RANK:
        raise InvalidRequest(f"expected at most {MAX_RANK} axes, got {len(shape)}", pointer=pointer)
    dtype = np.dtype(descr)
    # Python integers do not overflow, and nothing has been allocated yet.
    announced = math.prod(shape) * dtype.itemsize
    came = len(view) - start
    if announced != came:
        raise InvalidRequest(
            f"the .npy header says shape {shape} of {descr!r}, which is {announced} bytes, but"
            f" {came} bytes follow it; write the file again with numpy.save",
            pointer=pointer,
        )
    flat = np.frombuffer(view[start:], dtype=dtype)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return np.ascontiguousarray(array, dtype=dtype.newbyteorder("=")).reshape(shape)


def _read_header(view: memoryview, pointer: str) -> tuple[str, bool, tuple[int, ...], int]:
    """descr, fortran_order, shape and the offset of the first element."""
    text, start = _header_text(view, pointer)
    entries = _header_entries(text, pointer)
    shape = _header_shape(entries["shape"]["shape"], pointer)
    return entries["descr"]["text"][1:-1], entries["fortran_order"]["flag"] == "True", shape, start


def _header_text(view: memoryview, pointer: str) -> tuple[str, int]:
    """The header's dictionary as it is written, and the offset of what follows it."""
    if bytes(view[:6]) != MAGIC:
        raise InvalidRequest(
            "expected a .npy file (numpy.save), which starts with \\x93NUMPY; got"
            f" {bytes(view[:12])!r} (with curl, a file is sent by NAME=@FILE)",
            pointer=pointer,
        )
    version = tuple(view[6:8])
    if version == (1, 0):
        width, layout = 2, "<H"
    elif version in ((2, 0), (3, 0)):
        width, layout = 4, "<I"
    else:
        raise InvalidRequest(
            f"expected .npy format 1.0 or 2.0, got version {version}", pointer=pointer
        )
    if len(view) < 8 + width:
        raise InvalidRequest("the .npy file ends inside its header", pointer=pointer)
    (length,) = struct.unpack(layout, view[8 : 8 + width])
    start = 8 + width + length
    if length > MAX_HEADER_BYTES:
        raise InvalidRequest(
            "the .npy header is longer than any plain array needs",
            pointer=pointer,
            limit=MAX_HEADER_BYTES,
            actual=length,
        )
    if len(view) < start:
        raise InvalidRequest("the .npy file ends inside its header", pointer=pointer)
    return bytes(view[8 + width : start]).decode("latin-1").strip(), start


def _header_entries(text: str, pointer: str) -> dict[str, re.Match[str]]:
    """The three entries of the dictionary by name; `_ENTRY` names their parts."""
    entries: dict[str, re.Match[str]] = {}
    position = 1
    while (entry := _ENTRY.match(text, position)) is not None:
        entries[entry["key"]] = entry
        if entry["key"] == "descr" and entry["other"] is not None:
            raise InvalidRequest(
                f"expected a plain array of real numbers, got a structured one ({entry['key']} is"
                f" {entry['other'][:60]}...)",
                pointer=pointer,
            )
        position = entry.end()
    wanted = {"descr": "text", "fortran_order": "flag", "shape": "shape"}
    whole = text[:1] == "{" and text[position:].strip() == "}"
    if not whole or any(
        key not in entries or entries[key][group] is None for key, group in wanted.items()
    ):
        raise InvalidRequest(
            "expected a .npy header with descr, fortran_order and shape, as numpy.save writes it,"
            f" got {text[:100]!r}",
            pointer=pointer,
        )
    return entries


def _header_shape(text: str, pointer: str) -> tuple[int, ...]:
    numbers = [part.strip().rstrip("L") for part in text.strip("()").split(",")]
    if numbers[-1] == "":
        numbers.pop()
    # 19 digits hold every 64-bit size; longer ones would only cost time to convert.
    if any(not number.isdecimal() or len(number) > 19 for number in numbers):
        raise InvalidRequest(f"the .npy header's shape {text[:100]} is not one", pointer=pointer)
    return tuple(int(number) for number in numbers)


def npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """The bytes that stand before the elements of a C-ordered `.npy` 1.0 file."""
    buffer = io.BytesIO()
    header = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def read_list(value: Any, pointer: str, *, boolean: bool = False) -> np.ndarray:
    """The array of nested JSON lists: float64, or bool with `boolean`.

    Raises InvalidRequest whose pointer names the first element that is ragged, of another type or
    nested too deep.
    """
    if not isinstance(value, list):
        raise InvalidRequest(
            f'expected nested lists of {_word(boolean)}s or {{"dataset": id}}, got {_name(value)}',
            pointer=pointer,
        )
    shape: list[int] = []
    level: list[Any] = [value]
    while level and type(level[0]) is list:
        _check_level(level, shape, pointer)
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    allowed = {bool} if boolean else {int, float}
    if not set(map(type, level)) <= allowed:
        number = next(index for index, item in enumerate(level) if type(item) not in allowed)
        raise InvalidRequest(
            f"expected a {_word(boolean)}, got {_name(level[number])}",
            pointer=pointer + _path(number, shape),
        )
    try:
        return np.array(level, dtype=bool if boolean else np.float64).reshape(shape)
    except OverflowError:
        number = next(index for index, item in enumerate(level) if not _fits(item))
        raise InvalidRequest(
            "expected a number that float64 can hold, got a larger integer",
            pointer=pointer + _path(number, shape),
        ) from None


def _check_level(level: list[Any], above: list[int], pointer: str) -> None:
    """Raises unless all items, below axes of the sizes `above`, are lists of the first one's length."""
    if len(above) == MAX_RANK:
        raise InvalidRequest(
            "the lists are nested too deep",
            pointer=pointer + "/0" * MAX_RANK,
            limit=MAX_RANK,
            actual=MAX_RANK + 1,
        )
    length = len(level[0])
    for number, item in enumerate(level):
        if type(item) is not list:
            raise InvalidRequest(
                f"expected a list of {length}, as in the first place, got {_name(item)}",
                pointer=pointer + _path(number, above),
            )
        if len(item) != length:
            raise InvalidRequest(
                f"ragged: expected a list of {length}, as in the first place, got one of"
                f" {len(item)}; pad it and say which positions are real with a mask",
                pointer=pointer + _path(number, above),
            )


def _fits(number: float) -> bool:
    return -sys.float_info.max <= number <= sys.float_info.max


def json_elements(values: np.ndarray, start: int, shape: tuple[int, ...]) -> bytes:
    """Elements of an array of `shape` in C order, from number `start` on, as a piece of its JSON.

    All pieces joined by commas, within one pair of brackets, are the array as nested lists. Every
    number is the shortest text that reads back to the same element of the dtype of `values` (1-D).
    What is not finite becomes null, since JSON has no other word for it.
    """
    texts = values.astype("U32")
    if not np.isfinite(values).all():
        texts[~np.isfinite(values)] = "null"
    words: list[str] = texts.tolist()
    for axis in range(1, len(shape)):
        # A list of this axis begins at every multiple of its size.
        size = math.prod(shape[axis:])
        for first in range(-start % size, len(words), size):
            words[first] = "[" + words[first]
        for last in range((-start - 1) % size, len(words), size):
            words[last] += "]"
    return ",".join(words).encode("ascii")


def _path(number: int, shape: list[int]) -> str:
    """The pointer of element `number` of the flattened axes `shape`."""
    return "".join(f"/{index}" for index in np.unravel_index(number, shape)) if shape else ""


def _word(boolean: bool) -> str:
    return "boolean" if boolean else "number"


def _name(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")
