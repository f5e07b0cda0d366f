"""Values behind a header that says what they are: rows of inputs, tiles in an object store.

the header's length in bytes (uint32, little-endian), the header (JSON), the values
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

_LENGTH = struct.Struct("<I")


def framed(header: Mapping[str, Any], *values: bytes) -> bytes:
    """The header, and the values one after the other."""
    text = json.dumps(header).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *values))


def header_size(header: Mapping[str, Any]) -> int:
    """Bytes that stand before the values."""
    return _LENGTH.size + len(json.dumps(header).encode())


def unframed(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the values begin."""
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    return json.loads(data[_LENGTH.size : start]), start
